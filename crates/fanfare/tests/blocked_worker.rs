//! A handler that blocks its thread: what that means for the other threads of the node.

use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use actix_web::{App, web};
use fanfare::testing::LiveServer;
use fanfare::{
    Cluster, ClusterOptions, Consumer, Frame, Frames, Layer, Outcome, RedisLayer, Session, consumer,
};
use fanfare_rig::RedisServer;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::timeout;

const EVENTS: usize = 5000;
const HANDSHAKES: usize = 20;
const ECHOES: usize = 200;
/// Long enough for a busy machine; nothing passes by running into it.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename = "step")]
struct StepTaken {
    number: usize,
}

/// Blocks its thread at its first event until the test drops the other end, then counts.
#[derive(Clone)]
struct Held {
    entered: Arc<Notify>,
    release: Arc<Mutex<mpsc::Receiver<()>>>,
}

impl Consumer for Held {
    type Event = StepTaken;
    const GROUPS: &'static [&'static str] = &["held"];

    async fn event(&mut self, session: &mut Session, step: &StepTaken) -> Outcome {
        if step.number == 0 {
            self.entered.notify_one();
            // Ends with an error when the sender is dropped, which is the release.
            let _released = self.release.lock().unwrap().recv();
        }
        session.send_text(&step.number.to_string()).await?;
        Ok(())
    }
}

struct Echo;

impl Consumer for Echo {
    type Event = Frames;
    const GROUPS: &'static [&'static str] = &["echo_{n}"];

    async fn receive(&mut self, session: &mut Session, frame: Frame) -> Outcome {
        session.send_text(&frame.into_text()?).await?;
        Ok(())
    }
}

fn node_of(redis: &RedisServer) -> Cluster {
    let mut options = ClusterOptions {
        layer: Layer::Redis(RedisLayer::new([redis.url()]).unwrap()),
        ..ClusterOptions::default()
    };
    // Everything that comes at once after the release waits for one session.
    options.limits.outbox_frames = 2 * EVENTS;
    Cluster::new(options).unwrap()
}

fn p99(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() * 99 / 100]
}

#[actix_web::test]
async fn a_consumer_that_blocks_its_thread_holds_up_no_other_thread_and_loses_nothing() {
    let redis = RedisServer::start().unwrap();
    let cluster = node_of(&redis);
    let (hold, release) = mpsc::sync_channel(0);
    let held = Held {
        entered: Arc::new(Notify::new()),
        release: Arc::new(Mutex::new(release)),
    };
    let entered = Arc::clone(&held.entered);
    let app = move || {
        let held = held.clone();
        App::new()
            .service(consumer("/held", move || held.clone()))
            .service(consumer("/echo/{n}", || Echo))
    };
    let options = LiveServer::options().cluster(cluster.clone()).workers(2);
    let server = options.start(app);
    let mut blocked = server.connect("/held").await.accepted();
    blocked.timeout(PATIENCE);
    for number in 0..EVENTS {
        let step = StepTaken { number };
        let sent = cluster.group_send("held", &step);
        timeout(PATIENCE, sent)
            .await
            .expect("a publish hangs")
            .unwrap();
        if number == 0 {
            timeout(PATIENCE, entered.notified())
                .await
                .expect("no event");
        }
    }

    // The listener gives every other connection to the thread that is blocked.
    let opening = (0..HANDSHAKES).map(|n| {
        let connecting = server.websocket(&format!("/echo/{n}"));
        async move {
            let began = Instant::now();
            (connecting.connect().await.accepted(), began.elapsed())
        }
    });
    let mut opening = FuturesUnordered::from_iter(opening);
    let (mut clients, mut handshakes) = (Vec::new(), Vec::new());
    while clients.len() < HANDSHAKES / 2 {
        let next = timeout(PATIENCE, opening.next()).await;
        let (client, took) = next
            .expect("the other thread answers no handshake")
            .unwrap();
        clients.push(client);
        handshakes.push(took);
    }
    let mut echoes = Vec::new();
    for n in 0..ECHOES {
        let at = n % clients.len();
        let began = Instant::now();
        clients[at].send_text("ping").await;
        assert_eq!(clients[at].receive_text().await, "ping");
        echoes.push(began.elapsed());
    }
    eprintln!(
        "beside a blocked thread: p99 of a handshake {:?}, of an echo {:?}",
        p99(&mut handshakes),
        p99(&mut echoes)
    );

    drop(hold);
    for number in 0..EVENTS {
        assert_eq!(blocked.receive_text().await, number.to_string());
    }
    while let Some((client, _)) = opening.next().await {
        clients.push(client);
    }
    clients.push(blocked);
    for client in clients {
        client.disconnect(1000).await;
    }
    web::block(move || drop(server)).await.unwrap();
}
