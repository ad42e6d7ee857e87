//! What Daphne's tests of its WebSockets show, as far as they concern consumers;
//! `docs/UPSTREAM-TESTS.md` says which is which.

use actix_web::http::StatusCode;
use actix_web::{App, HttpResponse, web};
use fanfare::testing::{self, Application, LiveServer, Message};
use fanfare::{
    Accept, CloseCode, Consumer, Failure, Frame, Frames, Outcome, Reject, Request, Session,
    TrustedProxies, consumer,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{Log, cluster};
use crate::upstream_consumers::{Recorder, Seen};

/// Rejects.
struct Closed;

impl Consumer for Closed {
    type Event = Frames;

    async fn connect(&mut self, session: &mut Session, _: &Request) -> Result<Accept, Reject> {
        // Discarded with the rejection.
        session.send_text("never seen").await?;
        Err(Reject::new(StatusCode::FORBIDDEN, "this room is closed").header("x-room", "7"))
    }
}

#[actix_web::test]
async fn a_rejected_handshake_is_not_completed_and_says_why() {
    testing::pause();
    let app = Application::new(|| App::new().service(consumer("/testws/", || Closed))).await;
    let response = app.connect("/testws/").await.rejected();
    assert_eq!(response.status, StatusCode::FORBIDDEN);
    assert_eq!(response.header("x-room"), Some("7"));
    let body: serde_json::Value = response.json();
    assert_eq!(body["error"]["message"], "this room is closed");
    app.settled().await;
    assert_eq!(app.cluster().local().sessions(), 0);
}

/// Tells what its request was.
struct Told;

impl Consumer for Told {
    type Event = Frames;

    async fn connect(
        &mut self,
        session: &mut Session,
        request: &Request,
    ) -> Result<Accept, Reject> {
        let header = |name| request.header(name).unwrap_or("none").to_owned();
        let told = serde_json::json!({
            "client": request.client().map(|client| client.to_string()),
            "path": request.path(),
            "query": request.query_string(),
            "x-one": header("x-one"),
            "name": request.param::<String>("name")?,
        });
        session.send_json(&told).await?;
        Ok(Accept::new())
    }
}

async fn told(app: &Application, path: &str, headers: &[(&str, &str)]) -> serde_json::Value {
    let mut connecting = app.websocket(path);
    for (name, value) in headers {
        connecting = connecting.header(name, value);
    }
    connecting.connect().await.accepted().receive_json().await
}

#[actix_web::test]
async fn the_client_behind_a_trusted_proxy_is_the_one_that_it_names() {
    testing::pause();
    let forwarded = [("x-forwarded-for", "10.1.2.3")];
    let trusting = TrustedProxies::new(["127.0.0.1"]).unwrap();
    let app = Application::new(|| {
        let route = consumer("/{name}/", || Told);
        App::new().app_data(web::Data::new(trusting)).service(route)
    });
    assert_eq!(
        told(&app.await, "/a/", &forwarded).await["client"],
        "10.1.2.3"
    );
    let app = Application::new(|| App::new().service(consumer("/{name}/", || Told))).await;
    assert_eq!(told(&app, "/a/", &forwarded).await["client"], "127.0.0.1");
}

#[actix_web::test]
async fn path_query_and_headers_of_the_handshake_reach_the_consumer() {
    testing::pause();
    let app = Application::new(|| App::new().service(consumer("/{name}/", || Told))).await;
    let told = told(&app, "/room/?a=1&b=%20x", &[("X-One", "first")]).await;
    assert_eq!(told["path"], "/room/");
    assert_eq!(told["query"], "a=1&b=%20x");
    assert_eq!(told["x-one"], "first");
    assert_eq!(told["name"], "room");
}

#[actix_web::test]
async fn an_encoded_slash_is_no_separator_and_is_decoded_in_a_parameter() {
    testing::pause();
    let app = Application::new(|| App::new().service(consumer("/{name:.+}", || Told))).await;
    let told = told(&app, "/foo%2Fbar", &[]).await;
    assert_eq!(told["path"], "/foo%2Fbar");
    assert_eq!(told["name"], "foo/bar");
}

/// Answers everything with a text or a binary message of the same kind.
struct Dragons;

impl Consumer for Dragons {
    type Event = Frames;

    async fn receive(&mut self, session: &mut Session, frame: Frame) -> Outcome {
        match frame {
            Frame::Text(text) if text == "what is here? 🌍" => {
                session.send_text("here be dragons 🐉").await?;
            }
            Frame::Binary(bytes) if bytes[..] == *b"what is here? \xe2" => {
                session.send_binary(b"here be \xe2 bytes").await?;
            }
            other => return Err(Failure::error(format!("not asked: {other:?}"))),
        }
        Ok(())
    }
}

#[actix_web::test]
async fn text_goes_through_with_every_character() {
    testing::pause();
    let app = Application::new(|| App::new().service(consumer("/", || Dragons))).await;
    let mut client = app.connect("/").await.accepted();
    client.send_text("what is here? 🌍").await;
    assert_eq!(client.receive_text().await, "here be dragons 🐉");
}

#[actix_web::test]
async fn bytes_that_are_no_text_go_through() {
    testing::pause();
    let app = Application::new(|| App::new().service(consumer("/", || Dragons))).await;
    let mut client = app.connect("/").await.accepted();
    client.send_binary(b"what is here? \xe2").await;
    assert_eq!(client.receive_binary().await[..], *b"here be \xe2 bytes");
}

/// An application with these bounds, and what its consumers saw.
async fn bounded(message_bytes: usize, frame_bytes: usize) -> (Application, Log<Seen>) {
    let cluster = cluster(|options| {
        options.limits.message_bytes = message_bytes;
        options.limits.frame_bytes = frame_bytes;
    });
    let log = Log::new();
    let recorder = Recorder(log.clone());
    let route = consumer("/", move || recorder.clone());
    let app = Application::with(cluster, || App::new().service(route)).await;
    (app, log)
}

async fn expect_too_big(app: &Application, log: &Log<Seen>) {
    let mut client = app.connect("/").await.accepted();
    client.send_text(&"x".repeat(16)).await;
    assert_eq!(client.closed().await.code, CloseCode::TOO_BIG);
    assert_eq!(log.take(), [Seen::Connected, Seen::Disconnected(1009)]);
}

#[actix_web::test]
async fn a_message_over_the_limit_never_reaches_the_consumer() {
    testing::pause();
    let (app, log) = bounded(8, 1 << 20).await;
    expect_too_big(&app, &log).await;
}

#[actix_web::test]
async fn a_frame_over_the_limit_never_reaches_the_consumer() {
    testing::pause();
    let (app, log) = bounded(1 << 20, 8).await;
    expect_too_big(&app, &log).await;
}

#[actix_web::test]
async fn a_message_under_the_limit_arrives() {
    testing::pause();
    let (app, _log) = bounded(64, 64).await;
    let mut client = app.connect("/").await.accepted();
    client.send_text(&"x".repeat(16)).await;
    assert_eq!(client.receive_text().await, "x".repeat(16));
}

#[actix_web::test]
async fn an_open_session_outlives_every_limit_of_requests() {
    testing::pause();
    let app = Application::new(|| App::new().service(consumer("/", || Dragons))).await;
    let mut client = app.connect("/").await.accepted();
    tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
    client.send_text("what is here? 🌍").await;
    assert_eq!(client.receive_text().await, "here be dragons 🐉");
}

/// Bytes that some parsers take for the end of a line.
const ENDS: [u8; 6] = [0x0b, 0x0c, 0x1c, 0x1d, 0x1e, 0x85];

/// Answers with the header that was to be smuggled in, at a handshake too.
async fn smuggled(request: &str, byte: u8) -> Vec<u8> {
    let handler = async |request: actix_web::HttpRequest| {
        let smuggled = request.headers().contains_key("x-secret-auth");
        HttpResponse::Ok()
            .insert_header(("x-smuggled", smuggled.to_string()))
            .finish()
    };
    let server = LiveServer::new(move || App::new().default_service(web::to(handler)));
    let mut socket = tokio::net::TcpStream::connect(server.address())
        .await
        .unwrap();
    let mut head = request.as_bytes().to_vec();
    head.extend(b"X-Padding: innocent");
    head.push(byte);
    head.extend(b"X-Secret-Auth: admin-token\r\n\r\n");
    socket.write_all(&head).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    answer
}

fn expect_refused(answer: &[u8], byte: u8) {
    let answer = String::from_utf8_lossy(answer);
    // 0x85 ends no line of bytes; it is part of the value.
    let refused = answer.starts_with("HTTP/1.1 400 ");
    let harmless = byte == 0x85 && answer.contains("x-smuggled: false");
    assert!(refused || harmless, "{byte:x}: {answer}");
}

#[actix_web::test]
async fn a_handshake_cannot_smuggle_a_header_in() {
    for byte in ENDS {
        let request = "GET /ws HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\n\
                       Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
        expect_refused(&smuggled(request, byte).await, byte);
    }
}

#[actix_web::test]
async fn a_plain_request_cannot_smuggle_a_header_in() {
    let request = "GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n";
    for byte in ENDS {
        expect_refused(&smuggled(request, byte).await, byte);
    }
}

/// Fails before anything is sent.
struct Failing;

impl Consumer for Failing {
    type Event = Frames;

    async fn connect(&mut self, session: &mut Session, _: &Request) -> Result<Accept, Reject> {
        // On its way when the session opens.
        session
            .handle()
            .message(())
            .await
            .map_err(Reject::internal)?;
        Ok(Accept::new())
    }

    async fn message(&mut self, _: &mut Session, (): ()) -> Outcome {
        Err(Failure::error("failed at once"))
    }
}

#[actix_web::test]
async fn a_consumer_that_fails_at_once_leaves_no_session_behind() {
    testing::pause();
    let app = Application::new(|| App::new().service(consumer("/", || Failing))).await;
    let mut client = app.connect("/").await.accepted();
    let Message::Closed(closed) = client.receive().await else {
        panic!("it was not closed");
    };
    assert_eq!(closed.code, CloseCode::INTERNAL);
    app.settled().await;
    assert_eq!(app.cluster().local().sessions(), 0);
}
