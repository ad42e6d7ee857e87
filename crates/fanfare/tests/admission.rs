//! When a session is in its declared groups.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::App;
use actix_web::http::StatusCode;
use fanfare::testing::{self, Application};
use fanfare::{Accept, Consumer, Frames, Reject, Request, Session, consumer};
use serde_json::json;

/// Looks at its group, and rejects or greets it.
struct Door {
    seen: Arc<AtomicUsize>,
    rejects: bool,
}

impl Consumer for Door {
    type Event = Frames;
    const GROUPS: &'static [&'static str] = &["room_{room}"];
    const DELIVER: &'static [(&'static str, &'static str)] = &[("room.hello", "text")];

    async fn connect(&mut self, session: &mut Session, _: &Request) -> Result<Accept, Reject> {
        let members = session.cluster().local().count("room_a")?;
        self.seen.fetch_add(members, Ordering::Relaxed);
        if self.rejects {
            return Err(Reject::new(StatusCode::FORBIDDEN, "no"));
        }
        let hello = json!({"type": "room.hello", "text": "hello"});
        session.group_send("room_a", &hello).await?;
        Ok(Accept::new())
    }
}

async fn application(seen: &Arc<AtomicUsize>, rejects: bool) -> Application {
    let seen = Arc::clone(seen);
    let door = move || Door {
        seen: Arc::clone(&seen),
        rejects,
    };
    Application::new(|| App::new().service(consumer("/ws/{room}/", door))).await
}

#[actix_web::test]
async fn a_client_that_connect_rejects_has_joined_no_group() {
    testing::pause();
    let seen = Arc::default();
    let app = application(&seen, true).await;
    assert_eq!(app.connect("/ws/a/").await.rejected().status, 403);
    assert_eq!(seen.load(Ordering::Relaxed), 0, "joined before connect");
    assert_eq!(app.cluster().local().count("room_a").unwrap(), 0);
}

#[actix_web::test]
async fn a_session_gets_what_it_publishes_to_its_groups_while_it_connects() {
    testing::pause();
    let app = application(&Arc::default(), false).await;
    let mut client = app.connect("/ws/a/").await.accepted();
    assert_eq!(client.receive_text().await, "hello");
}
