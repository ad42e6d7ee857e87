//! What the tests of Channels' origin validator and of its authentication show;
//! `docs/UPSTREAM-TESTS.md` says which is which.

use actix_web::{App, HttpRequest, error};
use fanfare::middleware::{Authenticate, Origins};
use fanfare::testing::{self, Application};
use fanfare::{
    Accept, CloseCode, Consumer, Frame, Frames, Outcome, Reject, Request, Session, User, consumer,
};

struct Silent;

impl Consumer for Silent {
    type Event = Frames;
}

async fn passes(allowed: &[&str], origin: Option<&str>) -> bool {
    let app = App::new()
        .wrap(Origins::allow(allowed))
        .service(consumer("/", || Silent));
    let app = Application::new(|| app).await;
    let mut connecting = app.websocket("/");
    if let Some(origin) = origin {
        connecting = connecting.header("origin", origin);
    }
    let answer = connecting.connect().await;
    let accepted = answer.is_accepted();
    if !accepted {
        assert_eq!(answer.rejected().status, 403);
    }
    accepted
}

#[actix_web::test]
async fn an_origin_passes_as_the_patterns_say() {
    testing::pause();
    for (allowed, origin, pass) in [
        (
            &["allowed-domain.com"][..],
            Some("http://allowed-domain.com"),
            true,
        ),
        (
            &["allowed-domain.com"],
            Some("http://bad-domain.com"),
            false,
        ),
        (
            &["*.allowed-domain.com"],
            Some("http://allowed-domain.com"),
            false,
        ),
        (
            &[".allowed-domain.com"],
            Some("http://www.allowed-domain.com"),
            true,
        ),
        (
            &["http://allowed-domain.com"],
            Some("http://allowed-domain.com"),
            true,
        ),
        (
            &["http://allowed-domain.com"],
            Some("https://bad-domain.com:443"),
            false,
        ),
        (&["*"], None, true),
        (&[], None, false),
        (&[".allowed-domain.com"], Some(""), false),
        (&[".allowed-domain.com"], Some("something-invalid"), false),
    ] {
        assert_eq!(
            passes(allowed, origin).await,
            pass,
            "{allowed:?} {origin:?}"
        );
    }
}

/// Tells who it serves.
struct WhoAmI;

impl Consumer for WhoAmI {
    type Event = Frames;

    async fn connect(
        &mut self,
        session: &mut Session,
        request: &Request,
    ) -> Result<Accept, Reject> {
        let user = request.user();
        assert_eq!(session.user(), user.as_ref().map(User::id));
        session.send_json(&session.user()).await?;
        Ok(Accept::new())
    }

    async fn receive(&mut self, session: &mut Session, _: Frame) -> Outcome {
        session.send_json(&session.user()).await?;
        Ok(())
    }
}

/// The user is who the cookie says.
async fn by_cookie(request: &HttpRequest) -> Result<Option<User>, actix_web::Error> {
    let Some(cookie) = request.cookie("user") else {
        return Ok(None);
    };
    User::new(cookie.value())
        .map(Some)
        .map_err(error::ErrorBadRequest)
}

async fn cookies() -> Application {
    let app = App::new()
        .service(
            actix_web::web::scope("/members")
                .wrap(Authenticate::new(by_cookie).required())
                .service(consumer("/", || WhoAmI)),
        )
        .service(
            actix_web::web::scope("/open")
                .wrap(Authenticate::new(by_cookie))
                .service(consumer("/", || WhoAmI)),
        )
        .service(consumer("/unwrapped/", || WhoAmI));
    Application::new(|| app).await
}

async fn connect(app: &Application, path: &str, user: Option<&str>) -> testing::Answer {
    let mut connecting = app.websocket(path);
    if let Some(user) = user {
        connecting = connecting.header("cookie", format!("user={user}"));
    }
    connecting.connect().await
}

#[actix_web::test]
async fn without_the_middleware_nobody_is_a_user() {
    testing::pause();
    let app = cookies().await;
    let mut client = connect(&app, "/unwrapped/", Some("bob")).await.accepted();
    assert_eq!(client.receive_json::<Option<String>>().await, None);
}

#[actix_web::test]
async fn a_handshake_without_a_user_is_refused_where_one_is_required() {
    testing::pause();
    let app = cookies().await;
    let response = connect(&app, "/members/", None).await.rejected();
    assert_eq!(response.status, 401);
    let body: serde_json::Value = response.json();
    assert_eq!(body["error"]["code"], "unauthorized");
}

#[actix_web::test]
async fn a_session_knows_the_user_that_was_found_at_its_handshake() {
    testing::pause();
    let app = cookies().await;
    for path in ["/members/", "/open/"] {
        let mut client = connect(&app, path, Some("bob")).await.accepted();
        assert_eq!(client.receive_json::<String>().await, "bob");
        // And later, when the request has gone.
        client.send_text("who?").await;
        assert_eq!(client.receive_json::<String>().await, "bob");
    }
}

#[actix_web::test]
async fn the_user_of_an_inner_resolver_counts() {
    testing::pause();
    let app = App::new().wrap(Authenticate::new(by_cookie)).service(
        actix_web::web::scope("")
            .wrap(Authenticate::new(async |_: &HttpRequest| {
                User::new("inner").map(Some).map_err(error::ErrorBadRequest)
            }))
            .service(consumer("/", || WhoAmI)),
    );
    let app = Application::new(|| app).await;
    let mut client = connect(&app, "/", Some("bob")).await.accepted();
    assert_eq!(client.receive_json::<String>().await, "inner");
}

#[actix_web::test]
async fn another_user_on_the_same_browser_is_another_session() {
    testing::pause();
    let app = cookies().await;
    let mut bob = connect(&app, "/members/", Some("bob")).await.accepted();
    let mut bill = connect(&app, "/members/", Some("bill")).await.accepted();
    assert_eq!(bob.receive_json::<String>().await, "bob");
    assert_eq!(bill.receive_json::<String>().await, "bill");
    let event = serde_json::json!({ "type": "mail", "for": "bill" });
    app.cluster().send_to_user("bill", &event).await.unwrap();
    let came: serde_json::Value = bill.receive_json().await;
    assert_eq!(came["for"], "bill");
    bob.receive_nothing().await;
}

#[actix_web::test]
async fn a_logout_closes_the_user_s_open_sessions() {
    testing::pause();
    let app = cookies().await;
    let mut bob = connect(&app, "/members/", Some("bob")).await.accepted();
    let mut bill = connect(&app, "/members/", Some("bill")).await.accepted();
    assert_eq!(bob.receive_json::<String>().await, "bob");
    assert_eq!(bill.receive_json::<String>().await, "bill");
    let code = CloseCode(4003);
    app.cluster()
        .disconnect_user("bob", code, "logged out")
        .await
        .unwrap();
    assert_eq!(bob.closed().await, (4003, "logged out"));
    bill.receive_nothing().await;
}

#[actix_web::test]
async fn a_logout_of_somebody_who_is_not_there_does_nothing() {
    testing::pause();
    let app = cookies().await;
    let mut anonymous = connect(&app, "/open/", None).await.accepted();
    assert_eq!(anonymous.receive_json::<Option<String>>().await, None);
    let code = CloseCode(4003);
    app.cluster()
        .disconnect_user("bob", code, "logged out")
        .await
        .unwrap();
    anonymous.receive_nothing().await;
    assert_eq!(app.cluster().local().sessions(), 1);
}
