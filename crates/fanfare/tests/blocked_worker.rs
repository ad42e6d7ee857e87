//! A handler that blocks its thread: what that means for the other threads of the node.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::time::{Duration, Instant};

use actix_web::{App, HttpResponse, web};
use fanfare::testing::LiveServer;
use fanfare::{
    Cluster, ClusterOptions, Consumer, Frame, Frames, Layer, Outcome, RedisLayer, SendError,
    Session, consumer,
};
use fanfare_rig::{RawConnection, RawResponse, RedisServer};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::timeout;

const EVENTS: usize = 5000;
const HANDSHAKES: usize = 20;
const ECHOES: usize = 200;
/// How long a publish over HTTP may take, and how late its answer may be on a busy machine.
const LIMIT: Duration = Duration::from_secs(2);
const LATE: Duration = Duration::from_secs(3);
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
    thread: Arc<OnceLock<String>>,
    release: Arc<Mutex<mpsc::Receiver<()>>>,
}

impl Held {
    /// Held until the sender is dropped.
    fn new() -> (Self, mpsc::SyncSender<()>) {
        let (hold, release) = mpsc::sync_channel(0);
        let held = Self {
            entered: Arc::default(),
            thread: Arc::default(),
            release: Arc::new(Mutex::new(release)),
        };
        (held, hold)
    }
}

impl Consumer for Held {
    type Event = StepTaken;
    const GROUPS: &'static [&'static str] = &["held"];

    async fn event(&mut self, session: &mut Session, step: &StepTaken) -> Outcome {
        if step.number == 0 {
            self.thread.get_or_init(this_thread);
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

fn this_thread() -> String {
    format!("{:?}", std::thread::current().id())
}

/// An application's own door to publish through.
async fn publish(
    cluster: Cluster,
    path: web::Path<(String, usize)>,
) -> Result<HttpResponse, SendError> {
    let (group, number) = path.into_inner();
    cluster.group_send(&group, &StepTaken { number }).await?;
    Ok(HttpResponse::Accepted().finish())
}

async fn request(connection: &mut RawConnection, what: &str) -> RawResponse {
    let request = format!("{what} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
    connection.write(request.as_bytes()).await.unwrap();
    connection.answer().await.unwrap()
}

fn p99(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() * 99 / 100]
}

#[actix_web::test]
async fn a_consumer_that_blocks_its_thread_holds_up_no_other_thread_and_loses_nothing() {
    let redis = RedisServer::start().unwrap();
    let cluster = node_of(&redis);
    let (held, hold) = Held::new();
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

async fn an_http_publish_beside_a_blocked_thread_answers_in_its_time(layer: Layer) -> Vec<u16> {
    const MOST: usize = 200;
    let mut options = ClusterOptions {
        layer,
        publish_timeout: LIMIT,
        ..ClusterOptions::default()
    };
    options.limits.inbox_frames = 32;
    let cluster = Cluster::new(options).unwrap();
    let (held, hold) = Held::new();
    let (entered, blocked_thread) = (Arc::clone(&held.entered), Arc::clone(&held.thread));
    let app = move || {
        let held = held.clone();
        App::new()
            .service(consumer("/held", move || held.clone()))
            .route("/thread", web::get().to(async || this_thread()))
            .route("/publish/{group}/{number}", web::post().to(publish))
    };
    let options = LiveServer::options().cluster(cluster.clone()).workers(2);
    let server = options.start(app);
    let mut blocked = server.connect("/held").await.accepted();
    blocked.timeout(PATIENCE);
    let mut connections = BTreeMap::new();
    while connections.len() < 2 {
        let mut connection = RawConnection::open(server.address()).await.unwrap();
        let thread = request(&mut connection, "GET /thread").await.body;
        connections.insert(thread, connection);
    }
    cluster
        .group_send("held", &StepTaken { number: 0 })
        .await
        .unwrap();
    timeout(PATIENCE, entered.notified())
        .await
        .expect("no event");
    connections.remove(blocked_thread.get().unwrap());
    let (_, mut free) = connections.pop_first().unwrap();

    let (mut statuses, mut accepted) = (Vec::new(), vec![0]);
    for number in 1..=MOST {
        let began = Instant::now();
        let answer = request(&mut free, &format!("POST /publish/held/{number}")).await;
        let took = began.elapsed();
        assert!(took < LIMIT + LATE, "{number} took {took:?}");
        statuses.push(answer.status);
        if answer.status != 202 {
            assert!(took >= LIMIT, "{number} took {took:?}");
            assert_eq!(answer.header("retry-after"), Some("1"));
            let elsewhere = request(&mut free, "POST /publish/others/1").await;
            assert_eq!(elsewhere.status, 202);
            break;
        }
        accepted.push(number);
    }
    drop(hold);
    for number in accepted {
        assert_eq!(blocked.receive_text().await, number.to_string());
    }
    let last = request(&mut free, "POST /publish/held/1000").await;
    assert_eq!(last.status, 202);
    assert_eq!(
        blocked.receive_text().await,
        "1000",
        "what was refused was not published"
    );
    blocked.disconnect(1000).await;
    web::block(move || drop(server)).await.unwrap();
    statuses
}

#[actix_web::test]
async fn on_the_memory_layer_an_http_publish_beside_a_blocked_thread_is_refused_in_its_time() {
    let statuses = an_http_publish_beside_a_blocked_thread_answers_in_its_time(Layer::Memory).await;
    let (refused, accepted) = statuses.split_last().unwrap();
    assert_eq!(*refused, 503, "the inbox is full at last");
    assert!(accepted.len() >= 32, "{}", accepted.len());
}

#[actix_web::test]
async fn with_redis_an_http_publish_beside_a_blocked_thread_is_taken() {
    let redis = RedisServer::start().unwrap();
    let layer = Layer::redis([redis.url()]).unwrap();
    let statuses = an_http_publish_beside_a_blocked_thread_answers_in_its_time(layer).await;
    assert!(statuses.iter().all(|status| *status == 202));
}
