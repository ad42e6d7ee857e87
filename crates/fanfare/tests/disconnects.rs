//! `disconnect` runs once, whatever ended the session, and the session is in no group then.

use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::dev::ServiceRequest;
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, HttpResponse};
use fanfare::testing::{self, Application, LiveServer, WebSocket};
use fanfare::{
    Accept, CloseCode, Cluster, ClusterOptions, Consumer, Failure, Frame, Frames, Outcome, Reject,
    Request, Session, consumer,
};

use crate::support::{Log, cluster, metric};

/// Writes the codes down that its sessions ended with, and in how many groups they were then.
struct Mortal(Log<(u16, usize)>);

impl Consumer for Mortal {
    type Event = Frames;
    const GROUPS: &'static [&'static str] = &["mortals"];

    async fn connect(&mut self, session: &mut Session, _: &Request) -> Result<Accept, Reject> {
        session.group_add("more").await?;
        Ok(Accept::new())
    }

    async fn receive(&mut self, session: &mut Session, frame: Frame) -> Outcome {
        match &*frame.into_text()? {
            "close" => session.close(CloseCode(4001), "asked for"),
            "fail" => return Err(Failure::error("asked for")),
            "fail with a code" => return Err(Failure::close(CloseCode(4002), "asked for")),
            "panic" => panic!("asked for"),
            "hang" => std::future::pending().await,
            "flood" => loop {
                session.send_binary(&[0; 1 << 16]).await?;
            },
            other => session.send_text(other).await?,
        }
        Ok(())
    }

    async fn disconnect(&mut self, session: &mut Session, code: CloseCode) {
        let channel = session.channel();
        let mut groups = 0;
        for group in ["mortals", "more"] {
            let members = session.cluster().local().members(group).await.unwrap();
            groups += members.iter().filter(|member| **member == channel).count();
        }
        // More than one step, so that it must be driven.
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.0.push((code.0, groups));
    }
}

struct Scene {
    app: Application,
    log: Log<(u16, usize)>,
    client: WebSocket,
}

impl Scene {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut ClusterOptions)) -> Self {
        testing::pause();
        let log = Log::new();
        let own = log.clone();
        let route = consumer("/", move || Mortal(own.clone()));
        let app = Application::with(cluster(change), || App::new().service(route)).await;
        let client = app.connect("/").await.accepted();
        assert_eq!(app.cluster().local().count("mortals").unwrap(), 1);
        Self { app, log, client }
    }

    /// `disconnect` has run once, with this code; the session is counted as ended this way.
    async fn expect(&self, code: u16, reason: &str) {
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(self.log.take(), [(code, 0)]);
        let cluster = self.app.cluster();
        assert_eq!(cluster.node().groups(), []);
        assert_eq!(cluster.local().sessions(), 0);
        let closed = format!("fanfare_sessions_closed_total{{reason=\"{reason}\"}}");
        assert_eq!(metric(cluster, &closed), 1);
        assert_eq!(metric(cluster, "fanfare_programs_abandoned_total"), 0);
    }
}

#[actix_web::test]
async fn when_the_client_closes() {
    let mut scene = Scene::new().await;
    let gone = scene.app.connect("/").await.accepted();
    std::mem::replace(&mut scene.client, gone)
        .disconnect(4100)
        .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(scene.log.take(), [(4100, 0)]);
    // And when it gives no code.
    scene.client.send_raw(&[0x88, 0x80, 0, 0, 0, 0]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(scene.log.take(), [(1005, 0)]);
}

#[actix_web::test]
async fn when_the_connection_is_lost() {
    let Scene { app, log, client } = Scene::new().await;
    drop(client);
    let client = app.connect("/").await.accepted();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(log.take(), [(1006, 0)]);
    drop(client);
}

#[actix_web::test]
async fn when_the_consumer_closes() {
    let mut scene = Scene::new().await;
    scene.client.send_text("close").await;
    assert_eq!(scene.client.closed().await, (4001, "asked for"));
    scene.expect(4001, "route").await;
}

#[actix_web::test]
async fn when_a_handler_fails() {
    let mut scene = Scene::new().await;
    scene.client.send_text("fail").await;
    assert_eq!(scene.client.closed().await.code, CloseCode::INTERNAL);
    scene.expect(1011, "failed").await;
}

#[actix_web::test]
async fn when_a_handler_fails_with_a_code() {
    let mut scene = Scene::new().await;
    scene.client.send_text("fail with a code").await;
    assert_eq!(scene.client.closed().await, (4002, "asked for"));
    scene.expect(4002, "route").await;
}

#[actix_web::test]
async fn when_a_handler_panics() {
    let mut scene = Scene::new().await;
    scene.client.send_text("panic").await;
    assert_eq!(scene.client.closed().await.code, CloseCode::INTERNAL);
    scene.expect(1011, "failed").await;
}

#[actix_web::test]
async fn when_the_session_is_kicked() {
    for kick in 0..3 {
        let mut scene = Scene::new().await;
        let cluster: &Cluster = scene.app.cluster();
        let code = CloseCode(4003);
        match kick {
            0 => cluster.disconnect_group("mortals", code, "kicked").await,
            1 => cluster.disconnect_group("more", code, "kicked").await,
            _ => {
                let channel = scene.client.channel();
                cluster.disconnect_channel(channel, code, "kicked").await
            }
        }
        .unwrap();
        assert_eq!(scene.client.closed().await, (4003, "kicked"));
        scene.expect(4003, "kicked").await;
        testing::resume();
    }
}

#[actix_web::test]
async fn when_the_session_is_kicked_while_a_handler_hangs() {
    let mut scene = Scene::new().await;
    scene.client.send_text("hang").await;
    let code = CloseCode(4003);
    let cluster = scene.app.cluster();
    cluster
        .disconnect_group("mortals", code, "kicked")
        .await
        .unwrap();
    scene.client.timeout(Duration::from_secs(10));
    assert_eq!(scene.client.closed().await, (4003, "kicked"));
    scene.expect(4003, "kicked").await;
}

#[actix_web::test]
async fn when_the_server_shuts_down() {
    let mut scene = Scene::new().await;
    assert_eq!(scene.app.shut_down().await, 0);
    // It has run before the shutdown was over.
    assert_eq!(scene.log.take(), [(1001, 0)]);
    assert_eq!(scene.client.closed().await.code, CloseCode::GOING_AWAY);
}

#[actix_web::test]
async fn when_the_client_reads_too_slowly() {
    let mut scene = Scene::with(|options| options.limits.outbox_frames = 16).await;
    scene.client.stop_reading();
    let large = "x".repeat(1 << 16);
    for _ in 0..64 {
        let event = serde_json::json!({ "type": "large", "text": large });
        let cluster = scene.app.cluster();
        cluster.group_send("mortals", &event).await.unwrap();
        scene.app.settled().await;
    }
    scene.expect(1006, "slow").await;
}

#[actix_web::test]
async fn when_the_client_goes_while_a_handler_waits_for_it() {
    let Scene {
        app,
        log,
        mut client,
    } = Scene::new().await;
    client.stop_reading();
    client.send_text("flood").await;
    app.settled().await;
    drop(client);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(log.take(), [(1006, 0)]);
    assert_eq!(app.cluster().local().sessions(), 0);
}

#[actix_web::test]
async fn when_the_client_answers_no_ping() {
    let mut scene = Scene::new().await;
    scene.client.stop_reading();
    tokio::time::sleep(Duration::from_secs(55)).await;
    scene.expect(1006, "ping_timeout").await;
}

#[actix_web::test]
async fn when_the_client_breaks_the_protocol() {
    let mut scene = Scene::new().await;
    // A frame without a mask.
    scene.client.send_raw(&[0x81, 1, b'x']).await;
    assert_eq!(scene.client.closed().await.code, CloseCode::PROTOCOL);
    scene.expect(1002, "protocol").await;
}

#[actix_web::test]
async fn when_a_live_server_is_dropped() {
    let log = Log::new();
    let own = log.clone();
    let app = move || {
        let own = own.clone();
        App::new().service(consumer("/", move || Mortal(own.clone())))
    };
    let server = LiveServer::options().workers(2).start(app);
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = server.connect("/").await.accepted();
        client.timeout(Duration::from_secs(30));
        clients.push(client);
    }
    let stopped = actix_web::rt::task::spawn_blocking(move || server.stop());
    for client in &mut clients {
        assert_eq!(client.closed().await.code, CloseCode::GOING_AWAY);
    }
    stopped.await.unwrap();
    assert_eq!(log.take(), [(1001, 0); 4]);
}

/// Rejects.
struct Rejecting(Log<(u16, usize)>);

impl Consumer for Rejecting {
    type Event = Frames;

    async fn connect(&mut self, _: &mut Session, _: &Request) -> Result<Accept, Reject> {
        Err(Reject::new(actix_web::http::StatusCode::FORBIDDEN, "no"))
    }

    async fn disconnect(&mut self, _: &mut Session, code: CloseCode) {
        self.0.push((code.0, 0));
    }
}

#[actix_web::test]
async fn never_for_a_session_that_was_not_accepted() {
    testing::pause();
    let log = Log::new();
    let own = log.clone();
    let app = App::new().service(consumer("/", move || Rejecting(own.clone())));
    let app = Application::new(|| app).await;
    let _rejected = app.connect("/").await.rejected();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(log.take(), []);
    assert_eq!(app.cluster().local().sessions(), 0);
}

#[actix_web::test]
async fn when_a_middleware_takes_the_acceptance_back() {
    testing::pause();
    let log = Log::new();
    let own = log.clone();
    let refuse = from_fn(async |request: ServiceRequest, next: Next<BoxBody>| {
        let response = next.call(request).await?;
        assert_eq!(response.status(), 101);
        Ok::<_, actix_web::Error>(response.into_response(HttpResponse::Forbidden().finish()))
    });
    let app = App::new()
        .wrap(refuse)
        .service(consumer("/", move || Mortal(own.clone())));
    let app = Application::new(|| app).await;
    assert_eq!(app.connect("/").await.rejected().status, 403);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(log.take(), [(1006, 0)]);
    assert_eq!(app.cluster().local().sessions(), 0);
}
