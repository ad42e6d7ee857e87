//! The kit over consumers: their timers, threads and groups on a paused clock.

use std::time::Duration;

use actix_web::App;
use fanfare::testing::{self, Application};
use fanfare::{
    Accept, CloseCode, Consumer, Frame, Frames, Outcome, Reject, Request, Session, consumer,
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// Counts down from what it is told, a second a number.
struct Countdown(u32);

#[derive(Clone)]
struct Tick;

impl Consumer<Tick> for Countdown {
    type Event = Frames;

    async fn receive(&mut self, session: &mut Session<Tick>, frame: Frame) -> Outcome {
        self.0 = frame.into_text()?.parse()?;
        session.every(Duration::from_secs(1), Tick);
        Ok(())
    }

    async fn message(&mut self, session: &mut Session<Tick>, _: Tick) -> Outcome {
        session.send_json(&self.0).await?;
        match self.0.checked_sub(1) {
            Some(left) => self.0 = left,
            None => session.close(CloseCode::NORMAL, "lift-off"),
        }
        Ok(())
    }
}

#[actix_web::test]
async fn a_consumer_s_timers_take_no_time_and_come_at_their_time() {
    testing::pause();
    let answer = testing::connect("/", "/", || Countdown(0)).await;
    let mut client = answer.accepted();
    client.timeout(Duration::from_secs(2));
    let (started, start) = (std::time::Instant::now(), Instant::now());
    client.send_text("60").await;
    for left in (0..=60).rev() {
        assert_eq!(client.receive_json::<u32>().await, left);
        let seconds = 61 - left;
        let late = start.elapsed().as_millis() - u128::from(seconds) * 1000;
        assert!(late <= 1, "the {left} came {late} ms late");
    }
    assert_eq!(client.closed().await, (1000, "lift-off"));
    assert!(
        started.elapsed() < Duration::from_secs(30),
        "it took its time"
    );
}

/// Answers after some real work on another thread, and after some waiting.
struct Worker;

impl Consumer for Worker {
    type Event = Frames;

    async fn receive(&mut self, session: &mut Session, frame: Frame) -> Outcome {
        let text = frame.into_text()?;
        match &*text {
            "wait" => tokio::time::sleep(Duration::from_millis(900)).await,
            _ => {
                let work = || (0..2_000_000_u64).fold(1, |sum, n| std::hint::black_box(sum ^ n));
                actix_web::rt::task::spawn_blocking(work).await?;
            }
        }
        session.send_text(&text).await?;
        Ok(())
    }
}

#[actix_web::test]
async fn work_on_a_blocking_thread_is_waited_for() {
    testing::pause();
    let mut client = testing::connect("/", "/", || Worker).await.accepted();
    for _ in 0..10 {
        client.send_text("work").await;
        assert_eq!(client.receive_text().await, "work");
    }
}

#[actix_web::test]
async fn a_consumer_that_waits_is_waited_for_as_long_as_the_limit_says() {
    testing::pause();
    let mut client = testing::connect("/", "/", || Worker).await.accepted();
    client.send_text("wait").await;
    assert_eq!(client.receive_text().await, "wait");
    client.send_text("wait").await;
    client.receive_nothing_for(Duration::from_millis(890)).await;
    assert_eq!(client.receive_text().await, "wait");
}

/// Tells the lobby what its client says.
struct Speaker;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Said {
    #[serde(rename = "said")]
    Said { text: String },
}

impl Consumer for Speaker {
    type Event = Frames;
    const GROUPS: &'static [&'static str] = &["{room}"];

    async fn receive(&mut self, session: &mut Session, frame: Frame) -> Outcome {
        let text = frame.into_text()?.to_string();
        let room = session.groups()[0].as_str();
        session.group_send(room, &Said::Said { text }).await?;
        Ok(())
    }
}

#[actix_web::test]
async fn a_listener_hears_what_consumers_publish_until_it_is_dropped() {
    testing::pause();
    let app = Application::new(|| App::new().service(consumer("/{room}/", || Speaker))).await;
    let client = app.connect("/lobby/").await.accepted();
    let mut lobby = app.listen("lobby").await;
    let mut kitchen = app.listen("kitchen").await;
    assert_eq!(app.cluster().local().count("lobby").unwrap(), 2);
    client.send_text("hello").await;
    let hello = Said::Said {
        text: "hello".into(),
    };
    assert_eq!(lobby.receive_as::<Said>().await, hello);
    kitchen.receive_nothing().await;
    // And what is sent to itself.
    app.cluster()
        .send(&kitchen.channel(), &hello)
        .await
        .unwrap();
    assert_eq!(kitchen.receive_as::<Said>().await, hello);
    drop(lobby);
    app.settled().await;
    assert_eq!(app.cluster().local().count("lobby").unwrap(), 1);
}

/// Takes its time to accept.
struct Thoughtful;

impl Consumer for Thoughtful {
    type Event = Frames;

    async fn connect(&mut self, session: &mut Session, _: &Request) -> Result<Accept, Reject> {
        session.send_text("one moment").await?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        session.send_text("come in").await?;
        Ok(Accept::new())
    }
}

#[actix_web::test]
async fn a_handshake_takes_as_long_as_its_consumer() {
    testing::pause();
    let start = Instant::now();
    let mut client = testing::connect("/", "/", || Thoughtful).await.accepted();
    assert!((3000..=3001).contains(&start.elapsed().as_millis()));
    assert_eq!(client.receive_text().await, "one moment");
    assert_eq!(client.receive_text().await, "come in");
}

#[actix_web::test]
async fn what_comes_through_the_session_settles_without_time_passing() {
    testing::pause();
    let app = Application::new(|| App::new().service(consumer("/{room}/", || Speaker))).await;
    let mut clients = Vec::new();
    for _ in 0..50 {
        clients.push(app.connect("/lobby/").await.accepted());
    }
    let start = Instant::now();
    for client in &clients {
        client.send_text("hello").await;
    }
    app.settled().await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    for client in &mut clients {
        client.timeout(Duration::ZERO);
        for _ in 0..50 {
            assert_eq!(
                client.receive_text().await,
                r#"{"type":"said","text":"hello"}"#
            );
        }
    }
}

#[actix_web::test]
async fn a_client_waits_for_the_message_that_it_wants() {
    testing::pause();
    let answer = testing::connect("/", "/", || Countdown(0)).await;
    let mut client = answer.accepted();
    client.timeout(Duration::from_secs(60));
    client.send_text("20").await;
    let found = client.receive_json_until(|left: &u32| *left <= 7).await;
    assert_eq!(found, 7);
    assert_eq!(client.receive_json::<u32>().await, 6);
}

#[actix_web::test]
#[should_panic(expected = "no message that is wanted came within 5s")]
async fn a_client_does_not_wait_for_ever_for_the_message_that_it_wants() {
    testing::pause();
    let answer = testing::connect("/", "/", || Countdown(0)).await;
    let mut client = answer.accepted();
    client.timeout(Duration::from_secs(5));
    client.send_text("60").await;
    client.receive_json_until(|left: &u32| *left > 60).await;
}
