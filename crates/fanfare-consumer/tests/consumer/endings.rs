//! Ends of sessions whose handlers do not make it easy.

use std::cell::Cell;
use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use actix_web::App;
use fanfare_consumer::{CloseCode, Consumer, Frame, Frames, Outcome, Session, consumer};
use fanfare_testing::{self as testing, Application, settled};
use serde_json::json;

/// Panics when it is dropped.
#[derive(Clone)]
struct Mine;

impl Drop for Mine {
    #[expect(clippy::panic, reason = "the fault that the test is about")]
    fn drop(&mut self) {
        panic!("stepped on");
    }
}

/// Takes its time for each event.
#[derive(Clone)]
struct Thorough;

impl Consumer for Thorough {
    type Event = serde_json::Value;
    const GROUPS: &'static [&'static str] = &["news"];

    async fn event(&mut self, session: &mut Session, event: &serde_json::Value) -> Outcome {
        tokio::time::sleep(Duration::from_millis(100)).await;
        session.send_json(event).await?;
        Ok(())
    }
}

#[actix_web::test]
async fn a_session_that_is_closed_from_outside_finishes_the_event_it_is_at() {
    testing::pause();
    let app = Application::new(|| App::new().service(consumer("/ws/", || Thorough))).await;
    let mut client = app.connect("/ws/").await.accepted();
    let news = json!({"type": "news.flash", "text": "one more"});
    app.cluster().group_send("news", &news).await.unwrap();
    settled().await;
    let close = app.cluster();
    close
        .disconnect_group("news", CloseCode(4003), "enough")
        .await
        .unwrap();
    assert_eq!(client.receive_json::<serde_json::Value>().await, news);
    assert_eq!(client.closed().await.code, CloseCode(4003));
}

#[derive(Clone, Default)]
struct Awkward(Rc<Cell<u16>>);

impl Consumer<Option<Mine>> for Awkward {
    type Event = Frames;

    async fn receive(&mut self, session: &mut Session<Option<Mine>>, frame: Frame) -> Outcome {
        let text = frame.into_text()?;
        match &*text {
            "hang" => {
                let _mine = Mine;
                pending().await
            }
            "order" => {
                let handle = session.handle();
                assert!(handle.message(Some(Mine)).await.is_ok());
                session.close(CloseCode(4001), "with a message in the queue");
                Ok(())
            }
            _ => loop {
                session.send_text(&text).await?;
            },
        }
    }

    async fn disconnect(&mut self, _: &mut Session<Option<Mine>>, code: CloseCode) {
        self.0.set(code.0);
    }
}

async fn application(awkward: &Awkward) -> Application {
    let awkward = awkward.clone();
    Application::new(|| App::new().service(consumer("/ws/", move || awkward.clone()))).await
}

#[actix_web::test]
async fn disconnect_runs_also_when_what_is_left_panics_as_it_is_dropped() {
    testing::pause();
    for (word, code) in [("hang", 1000), ("order", 4001)] {
        let awkward = Awkward::default();
        let app = application(&awkward).await;
        let mut client = app.connect("/ws/").await.accepted();
        client.send_text(word).await;
        if code == 1000 {
            settled().await;
        } else {
            assert_eq!(client.closed().await.code, CloseCode(code));
        }
        client.disconnect(1000).await;
        settled().await;
        testing::advance(app.cluster().node().options().close_timeout).await;
        settled().await;
        assert_eq!(awkward.0.get(), code, "{word}");
    }
}

#[actix_web::test]
async fn a_handler_that_never_stops_sending_ends_with_its_session_and_holds_nobody_up() {
    testing::pause();
    let awkward = Awkward::default();
    let app = application(&awkward).await;
    let mut client = app.connect("/ws/").await.accepted();
    client.send_text("again").await;
    assert_eq!(client.receive_text().await, "again");
    client.disconnect(1000).await;
    settled().await;
    assert_eq!(awkward.0.get(), 1000);
}
