//! The kit over routes made by hand, without a consumer.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServiceFactory;
use actix_web::{App, HttpRequest, HttpResponse, web};
use fanfare::handshake::Handshake;
use fanfare::node::{Admission, Handling, Inbound, SessionContext, Step, Ticket};
use fanfare::protocol::{DeliverTable, RouteEncoder};
use fanfare::testing::{self, Answer, Application, LiveServer, Message};
use fanfare::{Cluster, GroupName};
use futures_util::FutureExt as _;
use tokio::time::Instant;

struct Echo;

impl Inbound for Echo {
    fn text(&self, session: &mut SessionContext<'_>, text: &str) -> Step {
        if text == "close" {
            return Step::Close(fanfare::CloseCode(4001), "asked for");
        }
        session.send_text(text);
        Step::Continue
    }

    fn binary(&self, session: &mut SessionContext<'_>, bytes: &[u8]) -> Step {
        session.send_binary(bytes);
        Step::Continue
    }
}

async fn echo(request: HttpRequest, cluster: Cluster) -> actix_web::Result<HttpResponse> {
    let handshake = Handshake::check(&request)?;
    if request.path().ends_with("/closed") {
        return Ok(HttpResponse::Forbidden().body("no entry"));
    }
    let admission = Admission {
        link: handshake.link(),
        client: None,
        encoder: Arc::new(RouteEncoder(DeliverTable {
            send: [("chat".to_owned(), "text".to_owned())].into(),
            deliver_unknown: true,
        })),
        handling: Handling::Inbound(Rc::new(Echo)),
        groups: vec![GroupName::parse("lobby").unwrap()],
        identity: None,
        welcome: false,
        access: None,
    };
    let ticket = Ticket::admit(&cluster.node().worker(), admission).await;
    let ticket = ticket.map_err(actix_web::error::ErrorServiceUnavailable)?;
    Ok(handshake.accept(ticket))
}

fn app() -> App<
    impl ServiceFactory<
        actix_web::dev::ServiceRequest,
        Config = (),
        Response = actix_web::dev::ServiceResponse,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    App::new().route("/ws/{room}", web::get().to(echo)).route(
        "/count",
        web::get().to(async |cluster: Cluster| cluster.local().sessions().to_string()),
    )
}

#[derive(serde::Serialize)]
struct Chat<'a> {
    r#type: &'a str,
    text: &'a str,
}

#[actix_web::test]
async fn what_a_session_answers_comes_at_the_same_moment_of_a_paused_clock() {
    testing::pause();
    let app = Application::new(app).await;
    let mut client = app.connect("/ws/a").await.accepted();
    let start = Instant::now();
    for round in 0..1000 {
        let text = round.to_string();
        client
            .timeout(Duration::from_millis(1))
            .send_text(&text)
            .await;
        assert_eq!(client.receive_text().await, text);
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    let start = Instant::now();
    client.receive_nothing().await;
    // Timers count whole milliseconds.
    let waited = start.elapsed().as_millis();
    assert!((100..=101).contains(&waited), "{waited} ms");
}

#[actix_web::test]
async fn large_messages_go_through_in_both_directions() {
    testing::pause();
    let app = Application::new(app).await;
    let mut client = app.connect("/ws/a").await.accepted();
    let large = "x".repeat(1 << 20);
    client.send_text(&large).await;
    assert_eq!(client.receive_text().await.len(), large.len());
    client.send_binary(&[0xe2, 0, 1]).await;
    assert_eq!(client.receive_binary().await[..], [0xe2, 0, 1]);
}

#[actix_web::test]
async fn events_reach_the_clients_and_a_listener() {
    testing::pause();
    let app = Application::new(app).await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(app.connect("/ws/a").await.accepted());
    }
    let mut lobby = app.listen("lobby").await;
    let start = Instant::now();
    for text in ["one", "two"] {
        let event = Chat {
            r#type: "chat",
            text,
        };
        app.cluster().group_send("lobby", &event).await.unwrap();
    }
    for client in &mut clients {
        assert_eq!(client.receive_text().await, "one");
        assert_eq!(client.receive_text().await, "two");
    }
    let event = lobby.receive().await;
    assert_eq!(
        (event.event_type(), event.get("text")),
        ("chat", Some(&"one".into()))
    );
    lobby.receive().await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    lobby.receive_nothing().await;
}

#[actix_web::test]
async fn plain_requests_go_to_the_same_app_and_cluster() {
    testing::pause();
    let app = Application::new(app).await;
    let _client = app.connect("/ws/a").await.accepted();
    let response = app.get("/count").await;
    assert_eq!((response.status.as_u16(), response.text()), (200, "1"));
    assert_eq!(app.get("/nowhere").await.status, 404);
    // A plain request on a WebSocket route.
    assert_eq!(app.get("/ws/a").await.status, 426);
}

#[actix_web::test]
async fn a_rejected_handshake_has_its_response() {
    testing::pause();
    let app = Application::new(app).await;
    let response = app.connect("/ws/closed").await.rejected();
    assert_eq!(
        (response.status.as_u16(), response.text()),
        (403, "no entry")
    );
    assert!(matches!(app.connect("/nowhere").await, Answer::Rejected(_)));
    let version = app
        .websocket("/ws/a")
        .replace("sec-websocket-version", Some("8"));
    let response = version.connect().await.rejected();
    assert_eq!(response.header("sec-websocket-version"), Some("13"));
}

#[actix_web::test]
async fn a_session_ends_by_the_client_by_the_server_and_by_loss() {
    testing::pause();
    let app = Application::new(app).await;
    let client = app.connect("/ws/a").await.accepted();
    client.disconnect(1000).await;
    assert_eq!(app.cluster().local().sessions(), 0);

    let mut client = app.connect("/ws/a").await.accepted();
    client.send_text("close").await;
    assert_eq!(client.closed().await, (4001, "asked for"));
    // And again for whoever asks again.
    assert!(matches!(client.receive().await, Message::Closed(_)));
    assert_eq!(app.cluster().local().sessions(), 0);

    let client = app.connect("/ws/a").await.accepted();
    drop(client);
    app.settled().await;
    assert_eq!(app.cluster().local().sessions(), 0);

    let mut client = app.connect("/ws/a").await.accepted();
    assert_eq!(app.shut_down().await, 0);
    assert_eq!(client.closed().await.code.0, 1001);
    assert_eq!(app.connect("/ws/a").await.rejected().status, 503);
}

#[actix_web::test]
async fn pings_are_answered_while_the_test_sleeps() {
    testing::pause();
    let app = Application::new(app).await;
    let mut client = app.connect("/ws/a").await.accepted();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    client.send_text("still there?").await;
    assert_eq!(client.receive_text().await, "still there?");
}

#[actix_web::test]
async fn a_client_that_stops_reading_answers_no_ping() {
    testing::pause();
    let app = Application::new(app).await;
    let mut client = app.connect("/ws/a").await.accepted();
    client.stop_reading();
    tokio::time::sleep(Duration::from_secs(49)).await;
    assert_eq!(app.cluster().local().sessions(), 1);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(app.cluster().local().sessions(), 0);
}

/// What a future panics with.
async fn panic_of<T>(future: impl Future<Output = T>) -> String {
    let caught = AssertUnwindSafe(future).catch_unwind().await;
    let Err(panic) = caught else {
        panic!("it did not panic");
    };
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(_) => String::from("no text"),
    }
}

#[actix_web::test]
async fn a_failed_expectation_says_where_and_what_came_instead() {
    testing::pause();
    let app = Application::new(app).await;
    let mut client = app.connect("/ws/a").await.accepted();

    let line = line!() + 1;
    let told = panic_of(client.receive_text()).await;
    assert!(told.contains("nothing came within 1s"), "{told}");
    assert!(told.contains(&format!("kit_plain.rs:{line}:")), "{told}");

    client.send_binary(b"bytes").await;
    let told = panic_of(client.receive_text()).await;
    assert!(told.contains(r#"but came the bytes b"bytes""#), "{told}");

    client.send_text("text").await;
    let told = panic_of(client.receive_nothing()).await;
    assert!(told.contains(r#"but came the text "text""#), "{told}");

    client.send_text("no json").await;
    let told = panic_of(client.receive_json::<u8>()).await;
    assert!(told.contains(r#"came "no json""#), "{told}");

    client.send_text("text").await;
    let told = panic_of(client.closed()).await;
    assert!(told.contains(r#"but came the text "text""#), "{told}");

    client.send_text("close").await;
    let told = panic_of(client.receive_text()).await;
    assert!(
        told.contains(r#"but came the close 4001 "asked for""#),
        "{told}"
    );

    let told = panic_of(async { app.connect("/ws/closed").await.accepted() }).await;
    assert!(told.contains("rejected: 403 Forbidden no entry"), "{told}");

    let mut lobby = app.listen("lobby").await;
    let told = panic_of(lobby.receive()).await;
    assert!(told.contains("no event came within 1s"), "{told}");
}

#[actix_web::test]
async fn a_live_server_serves_over_the_network_and_drains_when_it_is_dropped() {
    let server = LiveServer::options().workers(2).start(app);
    let mut client = server.connect("/ws/a").await.accepted();
    client.timeout(Duration::from_secs(30));
    client.send_text("hello").await;
    assert_eq!(client.receive_text().await, "hello");
    assert!(client.channel().starts_with("specific."), "{client:?}");
    let event = Chat {
        r#type: "chat",
        text: "to all",
    };
    server.cluster().group_send("lobby", &event).await.unwrap();
    assert_eq!(client.receive_text().await, "to all");
    let response = server.connect("/ws/closed").await.rejected();
    assert_eq!(
        (response.status.as_u16(), response.text()),
        (403, "no entry")
    );
    assert_eq!(server.connect("/nowhere").await.rejected().status, 404);
    // The drop blocks this thread until the client has answered the close, so it answers elsewhere.
    let stopped = actix_web::rt::task::spawn_blocking(move || server.stop());
    assert_eq!(client.closed().await.code.0, 1001);
    stopped.await.unwrap();
}
