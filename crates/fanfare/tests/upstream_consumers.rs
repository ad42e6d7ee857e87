//! What the tests of Channels' generic consumers show; `docs/UPSTREAM-TESTS.md` says which is
//! which.

use actix_web::App;
use actix_web::http::StatusCode;
use fanfare::protocol::Target;
use fanfare::testing::{self, Application, LiveServer};
use fanfare::{
    Accept, CloseCode, Consumer, Frame, Frames, GroupName, JsonFrame, Outcome, Reject, Request,
    Session, Unknown, consumer,
};
use serde::{Deserialize, Serialize};

use crate::support::{Log, metric, publish};

/// What a [`Recorder`] lived through.
#[derive(Debug, PartialEq)]
pub(crate) enum Seen {
    Connected,
    Text(String),
    Binary(Vec<u8>),
    Disconnected(u16),
}

/// Echoes, and writes everything down.
#[derive(Clone)]
pub(crate) struct Recorder(pub(crate) Log<Seen>);

impl Consumer for Recorder {
    type Event = Frames;

    async fn connect(&mut self, _: &mut Session, _: &Request) -> Result<Accept, Reject> {
        self.0.push(Seen::Connected);
        Ok(Accept::new())
    }

    async fn receive(&mut self, session: &mut Session, frame: Frame) -> Outcome {
        match frame {
            Frame::Text(text) => {
                self.0.push(Seen::Text(text.to_string()));
                session.send_text(&text).await?;
            }
            Frame::Binary(bytes) => {
                self.0.push(Seen::Binary(bytes.to_vec()));
                session.send_binary(&bytes).await?;
            }
        }
        Ok(())
    }

    async fn disconnect(&mut self, _: &mut Session, code: CloseCode) {
        self.0.push(Seen::Disconnected(code.0));
    }
}

#[actix_web::test]
async fn a_consumer_is_connected_receives_text_and_bytes_and_is_disconnected() {
    testing::pause();
    let log = Log::new();
    let recorder = Recorder(log.clone());
    let app =
        Application::new(|| App::new().service(consumer("/testws/", move || recorder.clone())));
    let app = app.await;
    let mut client = app.connect("/testws/").await.accepted();
    assert_eq!(client.subprotocol(), None);
    assert_eq!(log.take(), [Seen::Connected]);
    client.send_text("hello").await;
    assert_eq!(client.receive_text().await, "hello");
    assert_eq!(log.take(), [Seen::Text("hello".into())]);
    client.send_binary(b"w\0\0\0").await;
    assert_eq!(client.receive_binary().await[..], *b"w\0\0\0");
    assert_eq!(log.take(), [Seen::Binary(b"w\0\0\0".into())]);
    client.disconnect(1000).await;
    assert_eq!(log.take(), [Seen::Disconnected(1000)]);
}

/// Answers everything with the path it was connected at.
#[derive(Default)]
struct Path(String);

impl Consumer for Path {
    type Event = Frames;

    async fn connect(&mut self, _: &mut Session, request: &Request) -> Result<Accept, Reject> {
        self.0 = request.path().to_owned();
        Ok(Accept::new())
    }

    async fn receive(&mut self, session: &mut Session, _: Frame) -> Outcome {
        session.send_text(&self.0).await?;
        Ok(())
    }
}

#[actix_web::test]
async fn two_sessions_of_a_route_each_have_their_own_request() {
    testing::pause();
    let app = Application::new(|| App::new().service(consumer("/{name}/", Path::default))).await;
    let mut first = app.connect("/first/").await.accepted();
    let mut second = app.connect("/second/").await.accepted();
    // Out of order.
    second.send_text("path?").await;
    assert_eq!(second.receive_text().await, "/second/");
    first.send_text("path?").await;
    assert_eq!(first.receive_text().await, "/first/");
    first.disconnect(1000).await;
    second.disconnect(1000).await;
}

/// Accepts with the subprotocol that stands in the query.
struct Choosing;

#[derive(Deserialize)]
struct Choice {
    choose: String,
}

impl Consumer for Choosing {
    type Event = Frames;

    async fn connect(&mut self, _: &mut Session, request: &Request) -> Result<Accept, Reject> {
        let offered: Vec<_> = request.subprotocols().collect();
        assert_eq!(offered, ["subprotocol1", "subprotocol2"]);
        let choice: Choice = request.query()?;
        Ok(Accept::new().subprotocol(choice.choose))
    }
}

#[actix_web::test]
async fn a_consumer_sees_the_offered_subprotocols_and_chooses_one() {
    testing::pause();
    let app = Application::new(|| App::new().service(consumer("/testws/", || Choosing))).await;
    let offers = ["subprotocol1", "subprotocol2"];
    let connecting = app.websocket("/testws/?choose=subprotocol2");
    let client = connecting.subprotocols(offers).connect().await.accepted();
    assert_eq!(client.subprotocol(), Some("subprotocol2"));
}

#[actix_web::test]
async fn a_subprotocol_that_was_not_offered_is_an_error_of_the_server() {
    testing::pause();
    let app = Application::new(|| App::new().service(consumer("/testws/", || Choosing))).await;
    let offers = ["subprotocol1", "subprotocol2"];
    let connecting = app.websocket("/testws/?choose=subprotocol3");
    let response = connecting.subprotocols(offers).connect().await.rejected();
    assert_eq!(response.status, StatusCode::INTERNAL_SERVER_ERROR);
}

/// Sends on what it hears in the group `chat`.
struct Chat {
    received: Log<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type")]
enum ChatEvent {
    #[serde(rename = "chat.message")]
    Message { text: String },
}

impl Consumer for Chat {
    type Event = ChatEvent;
    const GROUPS: &'static [&'static str] = &["chat"];

    async fn receive(&mut self, _: &mut Session, frame: Frame) -> Outcome {
        self.received.push(frame.into_text()?.to_string());
        Ok(())
    }

    async fn event(&mut self, session: &mut Session, event: &ChatEvent) -> Outcome {
        let ChatEvent::Message { text } = event;
        session.send_text(text).await?;
        Ok(())
    }
}

fn chat(received: &Log<String>) -> impl Fn() -> Chat + Send + Clone + use<> {
    let received = received.clone();
    move || Chat {
        received: received.clone(),
    }
}

fn hello() -> ChatEvent {
    ChatEvent::Message {
        text: "hello".into(),
    }
}

#[actix_web::test]
async fn declared_groups_are_joined_at_connect_and_left_at_disconnect() {
    testing::pause();
    let app = App::new().service(consumer("/testws/", chat(&Log::new())));
    let app = Application::new(|| app).await;
    let mut client = app.connect("/testws/").await.accepted();
    assert_eq!(app.cluster().local().count("chat").unwrap(), 1);
    app.cluster().group_send("chat", &hello()).await.unwrap();
    assert_eq!(client.receive_text().await, "hello");
    client.disconnect(1000).await;
    assert_eq!(app.cluster().node().groups(), []);
}

#[actix_web::test]
async fn an_event_cannot_pass_for_something_that_the_client_sent() {
    testing::pause();
    let received = Log::new();
    let app = App::new().service(consumer("/testws/", chat(&received)));
    let app = Application::new(|| app).await;
    let mut client = app.connect("/testws/").await.accepted();
    for kind in [
        "websocket.receive",
        "websocket.disconnect",
        "websocket.connect",
        "close",
    ] {
        let event = serde_json::json!({ "type": kind, "text": "hello", "code": 1000 });
        let chat = Target::Group(GroupName::parse("chat").unwrap());
        publish(app.cluster(), chat, &event).await;
    }
    client.receive_nothing().await;
    assert!(received.take().is_empty());
    assert_eq!(app.cluster().local().sessions(), 1);
    app.cluster().group_send("chat", &hello()).await.unwrap();
    assert_eq!(client.receive_text().await, "hello");
}

#[actix_web::test]
async fn a_consumer_uses_the_cluster_of_its_server() {
    testing::pause();
    let make = || App::new().service(consumer("/testws/", chat(&Log::new())));
    let (one, other) = (Application::new(make).await, Application::new(make).await);
    let mut client = one.connect("/testws/").await.accepted();
    let channel = client.channel().to_owned();
    other.cluster().send(&channel, &hello()).await.unwrap();
    other.cluster().group_send("chat", &hello()).await.unwrap();
    client.receive_nothing().await;
    one.cluster().send(&channel, &hello()).await.unwrap();
    assert_eq!(client.receive_text().await, "hello");
}

/// Answers JSON with itself.
struct JsonEcho(Log<serde_json::Value>);

impl Consumer<(), JsonFrame<serde_json::Value>> for JsonEcho {
    type Event = Frames;

    async fn receive(
        &mut self,
        session: &mut Session,
        JsonFrame(message): JsonFrame<serde_json::Value>,
    ) -> Outcome {
        session.send_json(&message).await?;
        self.0.push(message);
        Ok(())
    }
}

#[actix_web::test]
async fn a_json_consumer_receives_values_and_answers_what_is_none() {
    testing::pause();
    let log = Log::new();
    let own = log.clone();
    let make = move || JsonEcho(own.clone());
    let app = Application::new(|| App::new().service(consumer("/testws/", make))).await;
    let mut client = app.connect("/testws/").await.accepted();
    let hello = serde_json::json!({ "hello": "world" });
    client.send_json(&hello).await;
    assert_eq!(client.receive_json::<serde_json::Value>().await, hello);
    assert_eq!(log.take(), std::slice::from_ref(&hello));
    // Bytes, no JSON: told so, and the session goes on.
    client.send_binary(b"w\0\0\0").await;
    let told: serde_json::Value = client.receive_json().await;
    assert_eq!(told["error"]["code"], "invalid_json", "{told}");
    client.send_text("{\"a\":\n nothing}").await;
    let told: serde_json::Value = client.receive_json().await;
    assert_eq!(told["error"]["code"], "invalid_json", "{told}");
    assert_eq!(told["error"]["line"], 2, "{told}");
    assert!(log.take().is_empty());
    client.send_json(&hello).await;
    assert_eq!(client.receive_json::<serde_json::Value>().await, hello);
}

/// Closed by events that it does not know.
struct Strict;

impl Consumer for Strict {
    type Event = ChatEvent;
    const UNKNOWN: Unknown = Unknown::Close;
}

#[actix_web::test]
async fn an_event_with_a_private_looking_type_is_one_that_nobody_knows() {
    testing::pause();
    let app = App::new()
        .service(consumer("/lenient/", chat(&Log::new())))
        .service(consumer("/strict/", || Strict));
    let app = Application::new(|| app).await;
    for kind in ["_my_private_handler", ".my_private_handler"] {
        let event = serde_json::json!({ "type": kind, "text": "hello" });
        let mut lenient = app.connect("/lenient/").await.accepted();
        let mut strict = app.connect("/strict/").await.accepted();
        for client in [&lenient, &strict] {
            assert!(app.cluster().send(client.channel(), &event).await.is_err());
            let naming = app.cluster().node().naming();
            let channel = Target::Channel(naming.channel(client.channel()).unwrap());
            publish(app.cluster(), channel, &event).await;
        }
        lenient.receive_nothing().await;
        assert_eq!(strict.closed().await.code, CloseCode::POLICY);
    }
    let unknown = r#"fanfare_consumer_events_total{outcome="unknown"}"#;
    assert_eq!(metric(app.cluster(), unknown), 4);
}

/// Accepts with a header and a cookie.
struct Headers;

impl Consumer for Headers {
    type Event = Frames;

    async fn connect(&mut self, _: &mut Session, _: &Request) -> Result<Accept, Reject> {
        let accept = Accept::new().header("foo", "bar");
        Ok(accept.header(
            "set-cookie",
            "Testing-Key=testing-value; Path=/; SameSite=lax",
        ))
    }
}

#[actix_web::test]
async fn headers_of_the_acceptance_reach_the_client() {
    testing::pause();
    let app = Application::new(|| App::new().service(consumer("/testws/", || Headers))).await;
    let client = app.connect("/testws/").await.accepted();
    assert_eq!(client.header("foo"), Some("bar"));
}

#[actix_web::test]
async fn a_handshake_can_set_a_cookie() {
    let server = LiveServer::new(|| App::new().service(consumer("/testws/", || Headers)));
    let client = server.connect("/testws/").await.accepted();
    let cookie = "Testing-Key=testing-value; Path=/; SameSite=lax";
    assert_eq!(client.header("set-cookie"), Some(cookie));
    drop(client);
}

/// Accepts, and closes at once.
struct Closing;

impl Consumer for Closing {
    type Event = Frames;

    async fn connect(&mut self, session: &mut Session, _: &Request) -> Result<Accept, Reject> {
        session.close(CloseCode(4007), "test reason");
        Ok(Accept::new())
    }
}

#[actix_web::test]
async fn a_close_has_its_code_and_its_reason() {
    testing::pause();
    let app = Application::new(|| App::new().service(consumer("/testws/", || Closing))).await;
    let mut client = app.connect("/testws/").await.accepted();
    assert_eq!(client.closed().await, (4007, "test reason"));
}

/// Tells what kind of message came.
struct Kinds;

impl Consumer for Kinds {
    type Event = Frames;

    async fn receive(&mut self, session: &mut Session, frame: Frame) -> Outcome {
        let told = match frame {
            Frame::Text(text) => format!("text: {text}"),
            Frame::Binary(bytes) => format!("bytes of length: {}", bytes.len()),
        };
        session.send_text(&told).await?;
        Ok(())
    }
}

#[actix_web::test]
async fn bytes_and_text_are_told_apart_also_when_they_are_empty() {
    testing::pause();
    let app = Application::new(|| App::new().service(consumer("/testws/", || Kinds))).await;
    let mut client = app.connect("/testws/").await.accepted();
    client.send_binary(b"test data").await;
    assert_eq!(client.receive_text().await, "bytes of length: 9");
    client.send_text("Hello, world!").await;
    assert_eq!(client.receive_text().await, "text: Hello, world!");
    client.send_text("").await;
    assert_eq!(client.receive_text().await, "text: ");
    client.send_binary(b"").await;
    assert_eq!(client.receive_text().await, "bytes of length: 0");
}
