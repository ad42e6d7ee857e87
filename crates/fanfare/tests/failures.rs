//! What follows a failure of a consumer's handler.

use actix_web::App;
use fanfare::testing::{self, Application, WebSocket};
use fanfare::{
    CloseCode, Consumer, Failure, Frame, Frames, JsonError, JsonFrame, Outcome, Session, consumer,
};
use serde_json::{Value, json};

use crate::support::{Log, metrics};

#[derive(Debug, thiserror::Error)]
#[error("the bid is too low")]
struct TooLow;

/// Fails as its client asks, and judges its failures.
struct Auction(Log<String>);

impl Consumer<(), JsonFrame<String>> for Auction {
    type Event = Value;

    async fn receive(
        &mut self,
        session: &mut Session,
        JsonFrame(ask): JsonFrame<String>,
    ) -> Outcome {
        match &*ask {
            "low" => Err(TooLow)?,
            "reply" => return Err(Failure::reply(&json!({"sorry": 1}))),
            "close" => return Err(Failure::close(4001, "as you say")),
            "panic" => panic!("as you say"),
            "number" => drop("x".parse::<u32>()?),
            other => session.send_json(other).await?,
        }
        Ok(())
    }

    async fn event(&mut self, _: &mut Session, _: &Value) -> Outcome {
        Err(TooLow)?;
        Ok(())
    }

    async fn failed(&mut self, _: &mut Session, failure: Failure) -> Outcome {
        self.0.push(failure.to_string());
        if failure.downcast_ref::<TooLow>().is_some() {
            return Err(Failure::reply(&json!({"rejected": failure.to_string()})));
        }
        if let Some(error) = failure.downcast_ref::<JsonError>() {
            return Err(Failure::reply(&json!({"bad": error.position()})));
        }
        Err(failure)
    }
}

async fn auction(log: &Log<String>) -> (Application, WebSocket) {
    testing::pause();
    let own = log.clone();
    let make = move || Auction(own.clone());
    let app = Application::new(|| App::new().service(consumer("/bid/", make))).await;
    let client = app.connect("/bid/").await.accepted();
    (app, client)
}

async fn goes_on(client: &mut WebSocket) {
    client.send_json("hello").await;
    assert_eq!(client.receive_json::<String>().await, "hello");
}

#[actix_web::test]
async fn a_consumer_answers_an_expected_error_and_goes_on() {
    let log = Log::new();
    let (app, mut client) = auction(&log).await;
    client.send_json("low").await;
    let rejected = json!({"rejected": "the bid is too low"});
    assert_eq!(client.receive_json::<Value>().await, rejected);
    goes_on(&mut client).await;
    let event = json!({"type": "bid"});
    app.cluster().send(client.channel(), &event).await.unwrap();
    assert_eq!(client.receive_json::<Value>().await, rejected);
    goes_on(&mut client).await;
    assert_eq!(log.take().len(), 2);
    let failures = metrics(app.cluster(), "fanfare_consumer_failures_total");
    assert_eq!(failures, 0);
}

#[actix_web::test]
async fn a_consumer_chooses_the_shape_of_errors_about_bad_json() {
    let (_app, mut client) = auction(&Log::new()).await;
    client.send_text("\n?").await;
    assert_eq!(client.receive_json::<Value>().await, json!({"bad": [2, 1]}));
    client.send_binary(b"0").await;
    assert_eq!(client.receive_json::<Value>().await, json!({"bad": null}));
    goes_on(&mut client).await;
}

#[actix_web::test]
async fn a_reply_and_a_close_are_decisions_that_nobody_judges() {
    let log = Log::new();
    let (_app, mut client) = auction(&log).await;
    client.send_json("reply").await;
    assert_eq!(client.receive_json::<Value>().await, json!({"sorry": 1}));
    client.send_json("close").await;
    let closed = client.closed().await;
    assert_eq!(
        (closed.code, &*closed.reason),
        (CloseCode(4001), "as you say")
    );
    assert!(log.take().is_empty());
}

#[actix_web::test]
async fn an_error_that_the_consumer_does_not_answer_closes_with_1011() {
    let log = Log::new();
    let (app, mut client) = auction(&log).await;
    client.send_json("number").await;
    assert_eq!(client.closed().await.code, CloseCode::INTERNAL);
    assert_eq!(log.take(), ["invalid digit found in string"]);
    let failures = metrics(app.cluster(), "fanfare_consumer_failures_total");
    assert_eq!(failures, 1);
}

#[actix_web::test]
async fn a_panic_is_not_judged() {
    let log = Log::new();
    let (_app, mut client) = auction(&log).await;
    client.send_json("panic").await;
    assert_eq!(client.closed().await.code, CloseCode::INTERNAL);
    assert!(log.take().is_empty());
}

/// Repeats what it hears to its groups.
struct Loud;

impl Consumer for Loud {
    type Event = Frames;
    const GROUPS: &'static [&'static str] = &["loud_{room}", "loud"];

    async fn receive(&mut self, session: &mut Session, frame: Frame) -> Outcome {
        session.group_add("later").await?;
        let event = json!({"type": "said", "text": &*frame.into_text()?});
        Ok(session.groups_send(&event).await?)
    }
}

#[actix_web::test]
async fn one_call_publishes_to_the_declared_groups_and_to_no_other() {
    testing::pause();
    let app = Application::new(|| App::new().service(consumer("/{room}/", || Loud))).await;
    let mut declared = [app.listen("loud_a").await, app.listen("loud").await];
    let mut later = app.listen("later").await;
    let client = app.connect("/a/").await.accepted();
    client.send_text("hello").await;
    for group in &mut declared {
        assert_eq!(group.receive().await.event_type(), "said");
        group.receive_nothing().await;
    }
    later.receive_nothing().await;
}

#[actix_web::test]
async fn a_long_reason_is_cut_at_a_character_wherever_it_is_given() {
    let (app, mut client) = auction(&Log::new()).await;
    let long = "é".repeat(100);
    let cut = "é".repeat(61);
    let mut reasons = Vec::new();
    app.cluster()
        .disconnect_channel(client.channel(), 4000, &long)
        .await
        .unwrap();
    reasons.push(client.closed().await.reason.to_string());
    let mut client = app.connect("/bid/").await.accepted();
    app.cluster()
        .disconnect_group("fanfare.all", 4000, &long)
        .await
        .unwrap();
    reasons.push(client.closed().await.reason.to_string());
    assert_eq!(reasons, [cut.clone(), cut]);
}

#[actix_web::test]
async fn health_and_metrics_of_an_application_are_one_line() {
    testing::pause();
    let app = Application::new(|| App::new().configure(fanfare::health::routes)).await;
    let status = async |path| app.get(path).await.status.as_u16();
    assert_eq!(status("/health/live").await, 200);
    assert_eq!(status("/health/ready").await, 200);
    assert_eq!(status("/metrics").await, 200);
    fanfare::Host::from(app.cluster()).start_draining();
    assert_eq!(status("/health/live").await, 200);
    assert_eq!(status("/health/ready").await, 503);
}
