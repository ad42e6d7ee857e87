//! A consumer learns through which group an event came.

use actix_web::App;
use fanfare::testing::{self, Application};
use fanfare::{Consumer, Frame, Outcome, Session, consumer};
use serde_json::{Value, json};

/// Tells its client the group of each event.
struct Names;

impl Consumer for Names {
    type Event = Value;
    const GROUPS: &'static [&'static str] = &["left", "right"];

    async fn receive(&mut self, session: &mut Session, _: Frame) -> Outcome {
        Ok(session
            .send_json(&session.event_group().map(|group| group.as_str()))
            .await?)
    }

    async fn event(&mut self, session: &mut Session, _: &Value) -> Outcome {
        let group = session.event_group().map(|group| group.as_str());
        Ok(session.send_json(&group).await?)
    }
}

#[actix_web::test]
async fn an_event_says_through_which_group_it_came() {
    testing::pause();
    let app = Application::new(|| App::new().service(consumer("/", || Names))).await;
    let mut client = app.connect("/").await.accepted();
    let event = json!({"type": "note"});
    for group in ["left", "right", "left"] {
        app.cluster().group_send(group, &event).await.unwrap();
        assert_eq!(client.receive_json::<String>().await, group);
    }
    app.cluster().broadcast(&event).await.unwrap();
    assert_eq!(client.receive_json::<String>().await, "fanfare.all");
    app.cluster().send(client.channel(), &event).await.unwrap();
    assert_eq!(client.receive_json::<Option<String>>().await, None);
    client.send_text("outside of an event").await;
    assert_eq!(client.receive_json::<Option<String>>().await, None);
}
