//! What a session has for its consumer: timers, futures, handles, forwarding, and its last words.

use std::cell::Cell;
use std::time::Duration;

use actix_web::{App, web};
use fanfare::testing::{self, Application, LiveServer};
use fanfare::{
    Accept, CloseCode, Consumer, Failure, Frame, Gone, Outcome, Reject, Request, Session,
    SessionHandle, Timer, consumer,
};
use fanfare_rig::Logs;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::json;

use crate::support::{Log, cluster, metric};

thread_local! {
    static WRITTEN: Cell<usize> = const { Cell::new(0) };
}

/// Counts how often it is encoded from the type.
#[derive(Deserialize)]
#[serde(tag = "type", rename = "said")]
struct Said {
    text: String,
}

impl Serialize for Said {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        WRITTEN.set(WRITTEN.get() + 1);
        json!({"type": "said", "text": self.text}).serialize(out)
    }
}

struct Able {
    handles: Log<SessionHandle<String>>,
    timer: Option<Timer>,
}

impl Consumer<String> for Able {
    type Event = Said;
    const GROUPS: &'static [&'static str] = &["able"];
    const DELIVER: &'static [(&'static str, &'static str)] = &[("said", "text")];

    async fn connect(
        &mut self,
        session: &mut Session<String>,
        request: &Request,
    ) -> Result<Accept, Reject> {
        session.group_add("more").await?;
        session.send_text("first words").await?;
        match request.query_string() {
            "reject" => Err(Reject::new(
                actix_web::http::StatusCode::FORBIDDEN,
                "not you",
            )),
            "close" => {
                session.close(CloseCode(4005), "changed my mind");
                Ok(Accept::new())
            }
            "panic" => panic!("asked for"),
            _ => Ok(Accept::new()),
        }
    }

    async fn receive(&mut self, session: &mut Session<String>, frame: Frame) -> Outcome {
        match &*frame.into_text()? {
            "after" => drop(session.after(Duration::from_secs(10), "later".to_owned())),
            "every" => {
                self.timer = Some(session.every(Duration::from_secs(10), "again".to_owned()));
            }
            "cancel" => self
                .timer
                .take()
                .into_iter()
                .for_each(|timer| session.cancel(timer)),
            "spawn" => session.spawn(async {
                tokio::time::sleep(Duration::from_secs(10)).await;
                "done".to_owned()
            }),
            "spawn panic" => session.spawn(async { panic!("asked for") }),
            "handle" => self.handles.push(session.handle()),
            "panic" => panic!("asked for"),
            "fail" => return Err(Failure::error("no more paper")),
            _ => {}
        }
        Ok(())
    }

    async fn event(&mut self, session: &mut Session<String>, event: &Said) -> Outcome {
        Ok(session.forward(event).await?)
    }

    async fn message(&mut self, session: &mut Session<String>, message: String) -> Outcome {
        Ok(session.send_text(&message).await?)
    }

    async fn disconnect(&mut self, session: &mut Session<String>, code: CloseCode) {
        let left = json!({"type": "said", "text": format!("one left with {}", code.0)});
        session.group_send("able", &left).await.unwrap();
    }
}

async fn application() -> (Application, Log<SessionHandle<String>>) {
    testing::pause();
    let handles = Log::new();
    let own = handles.clone();
    let able = move || Able {
        handles: own.clone(),
        timer: None,
    };
    let app = Application::new(|| App::new().service(consumer("/able/", able))).await;
    (app, handles)
}

#[actix_web::test]
async fn timers_and_futures_bring_their_messages_and_a_cancelled_one_none() {
    let (app, _) = application().await;
    let mut client = app.connect("/able/").await.accepted();
    client.timeout(Duration::from_secs(30));
    assert_eq!(client.receive_text().await, "first words");
    for (asked, answer) in [("after", "later"), ("spawn", "done"), ("every", "again")] {
        let start = tokio::time::Instant::now();
        client.send_text(asked).await;
        assert_eq!(client.receive_text().await, answer);
        // A millisecond more at most: that is how fine timers are.
        let waited = start.elapsed().as_millis();
        assert!((10_000..=10_001).contains(&waited), "{asked}: {waited}");
    }
    assert_eq!(client.receive_text().await, "again");
    client.send_text("cancel").await;
    client.receive_nothing_for(Duration::from_secs(60)).await;
    client.send_text("spawn panic").await;
    assert_eq!(client.closed().await.code, CloseCode(1011));
}

#[actix_web::test]
async fn a_handle_sends_from_another_thread_and_knows_when_its_session_is_over() {
    let (app, handles) = application().await;
    let mut client = app.connect("/able/").await.accepted();
    assert_eq!(client.receive_text().await, "first words");
    client.send_text("handle").await;
    app.settled().await;
    let handle = handles.take().remove(0);
    let elsewhere = handle.clone();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(async {
            elsewhere.send_json(&json!([1])).await.unwrap();
            elsewhere.message("from afar".to_owned()).await.unwrap();
            elsewhere.close(CloseCode(4006), "enough").await.unwrap();
        });
    });
    thread.join().unwrap();
    assert_eq!(client.receive_text().await, "[1]");
    assert_eq!(client.receive_text().await, "from afar");
    let closed = client.closed().await;
    assert_eq!(closed.code, CloseCode(4006));
    assert_eq!(closed.reason, "enough");
    assert_eq!(handle.send_text("late").await, Err(Gone));
}

#[actix_web::test]
async fn a_forwarded_event_is_not_encoded_again_for_each_session() {
    let (app, _) = application().await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = app.connect("/able/").await.accepted();
        assert_eq!(client.receive_text().await, "first words");
        clients.push(client);
    }
    let said = json!({"type": "said", "text": "hello"});
    app.cluster().group_send("able", &said).await.unwrap();
    for client in &mut clients {
        assert_eq!(client.receive_text().await, "hello");
    }
    assert_eq!(WRITTEN.get(), 0);
}

#[actix_web::test]
async fn the_last_words_of_a_session_reach_the_others_of_its_group() {
    let (app, _) = application().await;
    let one = app.connect("/able/").await.accepted();
    let mut other = app.connect("/able/").await.accepted();
    assert_eq!(other.receive_text().await, "first words");
    one.disconnect(4321).await;
    assert_eq!(other.receive_text().await, "one left with 4321");
}

#[actix_web::test]
async fn a_rejected_client_hears_nothing_and_leaves_no_member() {
    let (app, _) = application().await;
    let refused = app.connect("/able/?reject").await.rejected();
    assert_eq!(refused.status, 403);
    assert!(!refused.text().contains("first words"), "{refused}");
    app.settled().await;
    assert_eq!(app.cluster().local().sessions(), 0);
    assert_eq!(app.cluster().local().count("more").unwrap(), 0);
    assert_eq!(app.cluster().local().count("able").unwrap(), 0);
}

#[actix_web::test]
async fn a_session_that_is_closed_in_connect_opens_and_closes_with_that_code() {
    let (app, _) = application().await;
    let mut client = app.connect("/able/?close").await.accepted();
    assert_eq!(client.receive_text().await, "first words");
    assert_eq!(client.closed().await.code, CloseCode(4005));
}

#[actix_web::test]
async fn what_goes_wrong_is_logged_once_with_the_route() {
    let (app, _) = application().await;
    let logs = Logs::of_this_thread();
    for (query, asked, hook) in [
        ("", "panic", "hook=receive"),
        ("", "fail", "no more paper"),
        ("", "spawn panic", "hook=spawn"),
        ("?panic", "", "panicked"),
    ] {
        let answer = app.connect(&format!("/able/{query}")).await;
        if answer.is_accepted() {
            let mut client = answer.accepted();
            assert_eq!(client.receive_text().await, "first words");
            client.send_text(asked).await;
            assert_eq!(client.closed().await.code, CloseCode(1011));
        } else {
            assert_eq!(answer.rejected().status, 500);
        }
        app.settled().await;
        let text = logs.take();
        let logged: Vec<_> = text.lines().filter(|line| line.contains("ERROR")).collect();
        assert_eq!(logged.len(), 1, "{asked}: {text}");
        assert!(logged[0].contains("route=\"/able/\""), "{text}");
        assert!(logged[0].contains(hook), "{text}");
    }
    let failures = |kind: &str| {
        let name = format!("fanfare_consumer_failures_total{{kind=\"{kind}\"}}");
        metric(app.cluster(), &name)
    };
    assert_eq!((failures("panic"), failures("error")), (3, 1));
}

#[actix_web::test]
async fn sessions_are_the_server_s_also_where_the_app_has_another_cluster_as_data() {
    let other = cluster(|_| {});
    let data = web::Data::new(other.clone());
    let server = LiveServer::options().workers(1).start(move || {
        let able = || Able {
            handles: Log::new(),
            timer: None,
        };
        App::new()
            .app_data(data.clone())
            .service(consumer("/able/", able))
    });
    let mut client = server.connect("/able/").await.accepted();
    assert_eq!(client.receive_text().await, "first words");
    let own = server.cluster().clone();
    assert_eq!((own.local().sessions(), other.local().sessions()), (1, 0));
    drop(server);
    assert_eq!(own.local().sessions(), 0);
    assert_eq!(client.closed().await.code, CloseCode(1001));
}
