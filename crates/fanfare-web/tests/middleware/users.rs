use std::cell::Cell;
use std::rc::Rc;

use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::{App, Error, HttpRequest, HttpResponse, error as errors, web};
use fanfare_consumer::User;
use fanfare_consumer::middleware::Authenticate;
use fanfare_protocol::GroupName;

use super::{answer, error, websocket};

/// Believes a cookie; a broken one is an error, and one lookup fails.
async fn by_cookie(request: &HttpRequest) -> Result<Option<User>, Error> {
    tokio::task::yield_now().await;
    match request.cookie("user") {
        None => Ok(None),
        Some(cookie) if cookie.value() == "expired" => {
            Err(errors::ErrorUnauthorized("the session has expired"))
        }
        Some(cookie) => User::new(cookie.value())
            .map(Some)
            .map_err(errors::ErrorBadRequest),
    }
}

fn both_kinds(cookie: &'static str) -> [TestRequest; 2] {
    [TestRequest::get(), websocket()].map(|request| request.insert_header(("cookie", cookie)))
}

#[actix_web::test]
async fn a_user_reaches_the_handlers_of_requests_and_handshakes_alike() {
    for request in both_kinds("a=b; user=ann") {
        let answered = answer(Authenticate::new(by_cookie), request).await;
        assert_eq!(
            answered,
            (actix_web::http::StatusCode::OK, "hello ann".into())
        );
    }
}

#[actix_web::test]
async fn a_request_without_a_user_passes_unless_one_is_required() {
    for request in both_kinds("a=b") {
        let (status, body) = answer(Authenticate::new(by_cookie), request).await;
        assert_eq!((status.as_u16(), body.as_str()), (200, "hello stranger"));
    }
    for request in both_kinds("a=b") {
        let (status, body) = answer(Authenticate::new(by_cookie).required(), request).await;
        assert_eq!(status, 401);
        let message = "this needs a user: authenticate first";
        assert_eq!(body, error("unauthorized", message));
    }
}

#[actix_web::test]
async fn an_error_of_the_resolver_is_the_answer() {
    for (cookie, expected) in [("user=expired", 401), ("user=", 400)] {
        for request in both_kinds(cookie) {
            let (status, _) = answer(Authenticate::new(by_cookie), request).await;
            assert_eq!(status, expected, "{cookie}");
        }
    }
}

#[actix_web::test]
async fn a_closure_is_a_resolver_with_state_of_its_own() {
    let asked = Rc::new(Cell::new(0));
    let counter = Rc::clone(&asked);
    let resolver = async move |request: &HttpRequest| {
        counter.set(counter.get() + 1);
        let path = request.path().trim_start_matches('/');
        User::new(path).map(Some).map_err(errors::ErrorBadRequest)
    };
    let request = TestRequest::with_uri("/bob");
    let (_, body) = answer(Authenticate::new(resolver), request).await;
    assert_eq!(body, "hello bob");
    assert_eq!(asked.get(), 1);
}

#[actix_web::test]
async fn the_inner_resolver_has_the_last_word() {
    let named = |name: &'static str| {
        Authenticate::new(async move |_: &HttpRequest| Ok(User::new(name).ok()))
    };
    let inner = web::scope("")
        .wrap(named("inner"))
        .default_service(web::to(async |user: User| {
            HttpResponse::Ok().body(user.id().to_owned())
        }));
    let service = init_service(App::new().wrap(named("outer")).service(inner)).await;
    let response = call_service(&service, TestRequest::get().to_request()).await;
    assert_eq!(actix_web::test::read_body(response).await, "inner");
}

#[actix_web::test]
async fn the_user_extractor_answers_401_and_its_option_does_not() {
    let app = App::new()
        .route(
            "/user",
            web::get().to(async |_: User| HttpResponse::Ok().finish()),
        )
        .route(
            "/maybe",
            web::get().to(async |user: Option<User>| {
                assert_eq!(user, None);
                HttpResponse::Ok().finish()
            }),
        );
    let service = init_service(app).await;
    for (path, status) in [("/user", 401), ("/maybe", 200)] {
        let request = TestRequest::with_uri(path).to_request();
        let response = call_service(&service, request).await;
        assert_eq!(response.status(), status, "{path}");
        let names_a_scheme = response.headers().contains_key("www-authenticate");
        assert_eq!(names_a_scheme, status == 401);
    }
}

#[test]
fn a_user_has_an_id_that_makes_a_group() {
    let user = User::new("ann@example.com").unwrap();
    assert_eq!(user.id(), "ann@example.com");
    assert_eq!(*user.group(), GroupName::user("ann@example.com").unwrap());
    for id in [String::new(), "x".repeat(87), "@".repeat(29)] {
        assert!(User::new(id.clone()).is_err(), "{id:?}");
    }
    assert!(User::new("x".repeat(86)).is_ok());
}
