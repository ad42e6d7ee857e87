//! A thousand sessions of a consumer that panics wherever it can: nothing of them stays, and the
//! others notice nothing.

use std::collections::HashMap;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::dev::ServiceFactory;
use actix_web::{App, web};
use fanfare::testing::{self, Answer, Application, LiveServer, Message, WebSocket};
use fanfare::{
    Accept, CloseCode, Cluster, Consumer, Frame, Outcome, Reject, Request, Session, consumer,
};
use serde::{Deserialize, Serialize};

use crate::support::{Log, cluster, metric, metrics};

/// Sessions, in waves that are open at one time.
const WAVES: u64 = 4;
const WAVE: u64 = 250;
/// What the well-behaved sessions must hear in each wave, in order.
const NUMBERS: u64 = 20;

/// Counts what is alive.
struct Guard(Arc<AtomicUsize>);

impl Guard {
    fn new(alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(alive))
    }
}

impl Clone for Guard {
    fn clone(&self) -> Self {
        Self::new(&self.0)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Panics when it is dropped.
struct Mine;

impl Drop for Mine {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panics();
        }
    }
}

/// Where a session panics. Everything else of it works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    BeforeConnect,
    Connect,
    Receive,
    Event,
    Timer,
    Handle,
    Spawn,
    SpawnPolled,
    SpawnDropped,
    Disconnect,
    Nowhere,
}

const PLACES: [Place; 11] = [
    Place::BeforeConnect,
    Place::Connect,
    Place::Receive,
    Place::Event,
    Place::Timer,
    Place::Handle,
    Place::Spawn,
    Place::SpawnPolled,
    Place::SpawnDropped,
    Place::Disconnect,
    Place::Nowhere,
];

/// Numbers that depend on a seed alone (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// Without the words on standard error that thousands of them would leave there.
fn panics() -> ! {
    resume_unwind(Box::new("asked for"))
}

/// What tests and consumers share.
#[derive(Clone)]
struct Shared {
    alive: Arc<AtomicUsize>,
    /// Channels of sessions that were accepted, and of those whose `disconnect` ran.
    accepted: Log<String>,
    disconnected: Log<String>,
}

struct Fragile {
    shared: Shared,
    dice: Dice,
    place: Place,
    _alive: Guard,
}

#[derive(Clone)]
struct Said {
    by: Place,
    _alive: Guard,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    Number { n: u64 },
    Noise { bytes: String },
}

impl Fragile {
    fn new(shared: &Shared) -> Self {
        Self {
            shared: shared.clone(),
            dice: Dice(0),
            place: Place::Nowhere,
            _alive: Guard::new(&shared.alive),
        }
    }

    /// Perhaps panics, if it is to do so here.
    fn perhaps(&mut self, here: Place) {
        if self.place == here && self.dice.below(3) == 0 {
            panics();
        }
    }

    /// Everything that could be left behind.
    async fn settle_in(&mut self, session: &mut Session<Said>) -> Result<(), Reject> {
        let alive = self.shared.alive.clone();
        session
            .group_add(&format!("more_{}", self.dice.below(7)))
            .await?;
        let said = |by| Said {
            by,
            _alive: Guard::new(&alive),
        };
        session.every(Duration::from_millis(5), said(Place::Timer));
        session.after(Duration::from_secs(3600), said(Place::Timer));
        let (said_by_handle, handle) = (said(Place::Handle), session.handle());
        // A task outside of the session, which ends when the handle does.
        actix_web::rt::spawn(async move {
            while handle.message(said_by_handle.clone()).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
        });
        let (said_at_end, wait) = (said(Place::Spawn), self.dice.below(40));
        let polled = self.place == Place::SpawnPolled;
        session.spawn(async move {
            tokio::time::sleep(Duration::from_millis(wait)).await;
            if polled {
                panics();
            }
            said_at_end
        });
        let own = Guard::new(&alive);
        let mine = match self.place {
            Place::SpawnDropped => Some(Mine),
            _ => None,
        };
        session.spawn(async move {
            let _held = (own, mine);
            std::future::pending().await
        });
        Ok(())
    }
}

impl Consumer<Said> for Fragile {
    type Event = Event;
    const GROUPS: &'static [&'static str] = &["fragile"];

    async fn connect(
        &mut self,
        session: &mut Session<Said>,
        request: &Request,
    ) -> Result<Accept, Reject> {
        let seed: u64 = request.param("seed")?;
        self.dice = Dice(seed);
        self.place = PLACES[self.dice.below(PLACES.len() as u64) as usize];
        self.perhaps(Place::BeforeConnect);
        self.settle_in(session).await?;
        self.perhaps(Place::Connect);
        if self.dice.below(10) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.shared.accepted.push(session.channel().to_string());
        Ok(Accept::new())
    }

    async fn receive(&mut self, session: &mut Session<Said>, frame: Frame) -> Outcome {
        self.perhaps(Place::Receive);
        let bytes = frame.into_text()?.to_string();
        session
            .group_send_others("fragile", &Event::Noise { bytes })
            .await?;
        self.perhaps(Place::Receive);
        Ok(())
    }

    async fn event(&mut self, session: &mut Session<Said>, _: &Event) -> Outcome {
        self.perhaps(Place::Event);
        session.send_text("heard").await?;
        Ok(())
    }

    async fn message(&mut self, _: &mut Session<Said>, message: Said) -> Outcome {
        self.perhaps(message.by);
        Ok(())
    }

    async fn disconnect(&mut self, session: &mut Session<Said>, _: CloseCode) {
        self.shared.disconnected.push(session.channel().to_string());
        self.perhaps(Place::Disconnect);
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.perhaps(Place::Disconnect);
    }
}

/// Tells its client the numbers.
struct Steady;

impl Consumer for Steady {
    type Event = Event;
    const GROUPS: &'static [&'static str] = &["fragile"];

    async fn event(&mut self, session: &mut Session, event: &Event) -> Outcome {
        if let Event::Number { n } = event {
            session.send_json(n).await?;
        }
        Ok(())
    }
}

fn app(
    shared: &Shared,
) -> App<
    impl ServiceFactory<
        actix_web::dev::ServiceRequest,
        Config = (),
        Response = actix_web::dev::ServiceResponse,
        Error = actix_web::Error,
        InitError = (),
    > + use<>,
> {
    let shared = shared.clone();
    App::new()
        .service(consumer("/fragile/{seed:int}/", move || {
            Fragile::new(&shared)
        }))
        .service(consumer("/steady/", || Steady))
        .route("/", web::get().to(async || "alive"))
}

/// How clients reach the sessions.
enum Stage {
    Here(Application),
    Live(LiveServer),
}

impl Stage {
    fn cluster(&self) -> &Cluster {
        match self {
            Self::Here(app) => app.cluster(),
            Self::Live(server) => server.cluster(),
        }
    }

    async fn connect(&self, path: &str) -> Answer {
        match self {
            Self::Here(app) => app.connect(path).await,
            Self::Live(server) => server.connect(path).await,
        }
    }
}

/// Opens a wave, has it talk, and ends what is left of it in every way.
async fn wave(stage: &Stage, first: u64, steady: &mut [WebSocket]) -> u64 {
    let mut clients = Vec::new();
    let mut refused = 0;
    for seed in first..first + WAVE {
        match stage.connect(&format!("/fragile/{seed}/")).await {
            Answer::Accepted(mut client) => {
                client.timeout(Duration::from_secs(30));
                client.send_text("to all").await;
                clients.push((seed, client));
            }
            Answer::Rejected(response) => {
                assert_eq!(response.status, 500, "{response}");
                refused += 1;
            }
        }
    }
    for n in first..first + NUMBERS {
        let number = Event::Number { n };
        stage
            .cluster()
            .group_send("fragile", &number)
            .await
            .unwrap();
    }
    for client in steady {
        for n in first..first + NUMBERS {
            assert_eq!(client.receive_json::<u64>().await, n);
        }
    }
    for (seed, mut client) in clients {
        match seed % 4 {
            0 => drop(client),
            1 => client.disconnect(1000).await,
            2 => {
                let code = CloseCode(4003);
                let channel = client.channel().to_owned();
                stage
                    .cluster()
                    .disconnect_channel(&channel, code, "kicked")
                    .await
                    .unwrap();
                while !matches!(client.receive().await, Message::Closed(_)) {}
            }
            // Until it dies by itself, if it is one of those.
            _ => drop(tokio::time::timeout(Duration::from_millis(50), client.receive()).await),
        }
    }
    refused
}

async fn storm(stage: &Stage, shared: &Shared) {
    let mut steady = Vec::new();
    for _ in 0..4 {
        let mut client = stage.connect("/steady/").await.accepted();
        client.timeout(Duration::from_secs(30));
        steady.push(client);
    }
    let mut refused = 0;
    for number in 0..WAVES {
        refused += wave(stage, number * WAVE, &mut steady).await;
    }
    // Two places in eleven, once in three.
    assert!(
        (20..120).contains(&refused),
        "{refused} panicked in connect"
    );
    for client in &mut steady {
        client.receive_nothing().await;
    }
    drop(steady);
    let accepted = shared.accepted.take();
    assert_eq!(accepted.len() as u64 + refused, WAVES * WAVE);
    // Back for the count after the end.
    accepted
        .into_iter()
        .for_each(|channel| shared.accepted.push(channel));
}

/// Nothing is left, and everybody who was accepted was told of the end once.
fn expect_nothing_left(cluster: &Cluster, shared: &Shared) {
    assert_eq!(
        shared.alive.load(Ordering::SeqCst),
        0,
        "consumers, timers or futures"
    );
    assert_eq!(cluster.local().sessions(), 0);
    assert_eq!(cluster.node().groups(), []);
    let accepted = shared.accepted.take();
    let mut told: HashMap<String, usize> = HashMap::new();
    for channel in shared.disconnected.take() {
        *told.entry(channel).or_default() += 1;
    }
    assert_eq!(told.len(), accepted.len());
    for channel in &accepted {
        assert_eq!(told.get(channel), Some(&1), "{channel}");
    }
    let opened = metric(cluster, "fanfare_sessions_opened_total");
    // And the steady ones.
    assert_eq!(opened, accepted.len() as u64 + 4);
    assert_eq!(metrics(cluster, "fanfare_sessions_closed_total"), opened);
    for gauge in ["fanfare_sessions", "fanfare_groups"] {
        assert_eq!(metric(cluster, gauge), 0, "{gauge}");
    }
    assert_eq!(metrics(cluster, "fanfare_programs_abandoned_total"), 0);
    assert_eq!(metrics(cluster, "fanfare_restarts_total"), 0);
    let failed = metric(cluster, r#"fanfare_sessions_closed_total{reason="failed"}"#);
    assert!(failed > 300, "only {failed} sessions failed");
}

fn shared() -> Shared {
    Shared {
        alive: Arc::default(),
        accepted: Log::new(),
        disconnected: Log::new(),
    }
}

#[actix_web::test]
async fn a_thousand_sessions_that_panic_leave_nothing_behind_on_one_thread() {
    testing::pause();
    let shared = shared();
    let app = Application::with(cluster(|_| {}), || app(&shared)).await;
    let stage = Stage::Here(app);
    storm(&stage, &shared).await;
    let Stage::Here(app) = stage else {
        return;
    };
    assert_eq!(app.shut_down().await, 0);
    // The tasks that hold handles look once more.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(app.get("/").await.text(), "alive");
    expect_nothing_left(app.cluster(), &shared);
}

#[actix_web::test]
async fn a_thousand_sessions_that_panic_leave_nothing_behind_over_the_network() {
    let shared = shared();
    let own = shared.clone();
    let server = LiveServer::options().workers(2).start(move || app(&own));
    let cluster = server.cluster().clone();
    let stage = Stage::Live(server);
    storm(&stage, &shared).await;
    // Its threads, and with them every task, have ended when it is dropped.
    drop(stage);
    expect_nothing_left(&cluster, &shared);
}
