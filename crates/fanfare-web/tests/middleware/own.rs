use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::{App, Error, HttpResponse, error, web};
use fanfare_consumer::middleware::Origins;

use super::{answer, websocket};

async fn versioned(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    if !request.headers().contains_key("x-app-version") {
        return Err(error::ErrorBadRequest("X-App-Version is missing"));
    }
    next.call(request).await
}

#[actix_web::test]
async fn a_function_is_a_middleware_for_requests_and_handshakes_alike() {
    for request in [TestRequest::get(), websocket()] {
        assert_eq!(answer(from_fn(versioned), request).await.0, 400);
    }
    for request in [TestRequest::get(), websocket()] {
        let request = request.insert_header(("x-app-version", "7"));
        assert_eq!(answer(from_fn(versioned), request).await.0, 200);
    }
}

#[actix_web::test]
async fn middleware_of_a_scope_leaves_its_siblings_alone() {
    let scope = web::scope("/ws")
        .wrap(Origins::allow(["a.com"]))
        .default_service(web::to(HttpResponse::Ok));
    let app = App::new()
        .service(scope)
        .default_service(web::to(HttpResponse::Ok));
    let service = init_service(app).await;
    for (path, status) in [("/ws/lobby", 403), ("/other", 200)] {
        let response = call_service(&service, websocket().uri(path).to_request()).await;
        assert_eq!(response.status(), status, "{path}");
    }
}

#[actix_web::test]
async fn a_refusal_is_a_response_to_the_middleware_around_it() {
    let app = App::new()
        .default_service(web::to(HttpResponse::Ok))
        .wrap(Origins::allow(["a.com"]))
        .wrap(actix_web::middleware::DefaultHeaders::new().add(("x-around", "yes")));
    let service = init_service(app).await;
    let response = call_service(&service, websocket().to_request()).await;
    assert_eq!(response.status(), 403);
    assert_eq!(response.headers().get("x-around").unwrap(), "yes");
}
