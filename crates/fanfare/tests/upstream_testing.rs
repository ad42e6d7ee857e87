//! What the tests of Channels' communicators show, of ours; `docs/UPSTREAM-TESTS.md` says which is
//! which.

use std::panic::AssertUnwindSafe;

use actix_web::{App, HttpRequest, web};
use fanfare::testing::{self, Application};
use fanfare::{
    Accept, CloseCode, Consumer, Frame, Frames, Outcome, Reject, Request, Session, consumer,
};
use futures_util::FutureExt as _;

#[actix_web::test]
async fn a_plain_request_is_answered_by_the_app() {
    testing::pause();
    let handler = async |request: HttpRequest| {
        assert_eq!(request.path(), "/test/");
        assert_eq!(request.method(), "GET");
        assert_eq!(request.query_string(), "foo=bar");
        "test response"
    };
    let app = Application::new(|| App::new().route("/test/", web::get().to(handler))).await;
    let response = app.get("/test/?foo=bar").await;
    assert_eq!(
        (response.status.as_u16(), response.text()),
        (200, "test response")
    );
}

struct Echo;

impl Consumer for Echo {
    type Event = Frames;

    async fn receive(&mut self, session: &mut Session, frame: Frame) -> Outcome {
        match frame {
            Frame::Text(text) => session.send_text(&text).await?,
            Frame::Binary(bytes) => session.send_binary(&bytes).await?,
        }
        Ok(())
    }
}

#[actix_web::test]
async fn a_client_sends_and_receives_text_bytes_and_json() {
    testing::pause();
    let mut client = testing::connect("/testws/", "/testws/", || Echo)
        .await
        .accepted();
    assert_eq!(client.subprotocol(), None);
    client.send_text("hello").await;
    assert_eq!(client.receive_text().await, "hello");
    client.send_binary(b"w\0\0\0").await;
    assert_eq!(client.receive_binary().await[..], *b"w\0\0\0");
    let hello = serde_json::json!({ "hello": "world" });
    client.send_json(&hello).await;
    assert_eq!(client.receive_json::<serde_json::Value>().await, hello);
    client.disconnect(1000).await;
}

struct Closing;

impl Consumer for Closing {
    type Event = Frames;

    async fn connect(&mut self, session: &mut Session, _: &Request) -> Result<Accept, Reject> {
        session.close(CloseCode::NORMAL, "");
        Ok(Accept::new())
    }
}

#[actix_web::test]
async fn whoever_expects_a_message_and_sees_the_end_is_told_so() {
    testing::pause();
    let mut client = testing::connect("/testws/", "/testws/", || Closing)
        .await
        .accepted();
    let caught = AssertUnwindSafe(client.receive_text()).catch_unwind().await;
    let told = caught.unwrap_err().downcast::<String>().unwrap();
    assert!(
        told.contains("expected a text message, but came the close 1000"),
        "{told}"
    );
}

struct Greeting;

impl Consumer for Greeting {
    type Event = Frames;

    async fn connect(
        &mut self,
        session: &mut Session,
        request: &Request,
    ) -> Result<Accept, Reject> {
        session
            .send_text(&request.param::<String>("message")?)
            .await?;
        Ok(Accept::new())
    }
}

#[actix_web::test]
async fn a_client_reaches_a_route_with_parameters() {
    testing::pause();
    let answer = testing::connect("/testws/{message}/", "/testws/test/", || Greeting).await;
    let mut client = answer.accepted();
    assert_eq!(client.subprotocol(), None);
    assert_eq!(client.receive_text().await, "test");
    client.disconnect(1000).await;
}

struct Silent;

impl Consumer for Silent {
    type Event = Frames;
}

#[actix_web::test]
async fn an_answer_that_does_not_come_is_an_error_and_the_session_goes_on() {
    testing::pause();
    let mut client = testing::connect("/testws/", "/testws/", || Silent)
        .await
        .accepted();
    client.send_text("hello").await;
    let caught = AssertUnwindSafe(client.receive()).catch_unwind().await;
    let told = caught.unwrap_err().downcast::<String>().unwrap();
    assert!(told.contains("nothing came within 1s"), "{told}");
    client.disconnect(1000).await;
}

/// Tells how it was asked for.
struct Asked;

impl Consumer for Asked {
    type Event = Frames;

    async fn connect(
        &mut self,
        session: &mut Session,
        request: &Request,
    ) -> Result<Accept, Reject> {
        let told = [
            request.param::<String>("path")?,
            request.query_string().to_owned(),
        ];
        session.send_json(&told).await?;
        Ok(Accept::new())
    }
}

#[actix_web::test]
async fn a_parameter_is_decoded_and_a_query_is_not() {
    testing::pause();
    let app = Application::new(|| App::new().service(consumer("/{path:path}", || Asked))).await;
    for (asked, path, query) in [
        ("/p/a/t/h?query=string", "p/a/t/h", "query=string"),
        (
            "/%E9%A6%96%E9%A1%B5/index.php?foo=%E9%A6%96%E9%A1%B5&spam=eggs",
            "首页/index.php",
            "foo=%E9%A6%96%E9%A1%B5&spam=eggs",
        ),
    ] {
        let mut client = app.connect(asked).await.accepted();
        assert_eq!(client.receive_json::<[String; 2]>().await, [path, query]);
        client.disconnect(1000).await;
    }
}
