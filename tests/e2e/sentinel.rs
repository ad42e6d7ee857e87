//! The master moves, with sessions open and publishers that do not stop.
//!
//! The publishers are an unmodified layer in Python and the API of another node. With pub/sub what
//! they publish during the outage is missing, and each node counts a gap. With core the replica has
//! the memberships and what was waiting: what was taken arrives, and there is no gap to count.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fanfare_rig::{
    Api, Cluster, ClusterOptions, PythonBackend, PythonLayer, PythonOptions, PythonTarget,
    Recorder, Sentinels, documented_rules, eventually,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::SOON;

/// Nodes, sentinels and Python all find out in their own time.
const FAILOVER: Duration = Duration::from_secs(60);
/// Between two events of a publisher; what waits in Redis for a node during the outage is less than
/// the hundred messages that may.
const PAUSE: Duration = Duration::from_millis(200);
const SOCKETS: usize = 4;
const ROUTE: &str = "[[routes]]\npath = \"/g/{group}\"\ngroups = [\"{group}\"]\nauth = false\n";

/// Publishes numbers over the API of a node until it is dropped.
struct Publisher {
    /// Those that were taken.
    taken: Arc<Mutex<BTreeSet<u64>>>,
    /// How many were refused.
    refused: Arc<AtomicUsize>,
    broken: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Publisher {
    fn start(api: Api) -> Self {
        let taken = Arc::<Mutex<BTreeSet<u64>>>::default();
        let refused = Arc::<AtomicUsize>::default();
        let broken = Arc::<AtomicBool>::default();
        let (yes, no, other) = (taken.clone(), refused.clone(), broken.clone());
        let task = tokio::spawn(async move {
            let mut pace = tokio::time::interval(PAUSE);
            for number in 0_u64.. {
                pace.tick().await;
                let event = json!({"type": "say", "from": "api", "number": number});
                let answer = api.post("/api/v1/groups/red/events", &event).await;
                match answer.map(|answer| answer.status) {
                    Ok(202) => drop(lock(&yes).insert(number)),
                    Ok(503) => drop(no.fetch_add(1, Ordering::Relaxed)),
                    _ => return other.store(true, Ordering::Relaxed),
                }
            }
        });
        Self {
            taken,
            refused,
            broken,
            task,
        }
    }

    fn taken(&self) -> BTreeSet<u64> {
        lock(&self.taken).clone()
    }

    fn check(&self) -> Result<()> {
        ensure!(
            !self.broken.load(Ordering::Relaxed),
            "an answer of neither 202 nor 503"
        );
        Ok(())
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The numbers of one publisher, in the order in which a socket got them.
fn numbers(socket: &Recorder, from: &str) -> Result<Vec<u64>> {
    let events = socket.texts().into_iter();
    let events: Vec<Value> = events
        .map(|text| Ok(serde_json::from_str(&text)?))
        .collect::<Result<_>>()?;
    let own = events.iter().filter(|event| event["from"] == from);
    own.map(|event| event["number"].as_u64().context("a number"))
        .collect()
}

/// Where the sentinels are, as channels_redis takes it.
fn places(sentinels: &Sentinels) -> Value {
    let places = sentinels.ports().into_iter();
    places.map(|port| json!(["127.0.0.1", port])).collect()
}

/// The same for a node, and options of the master.
fn hosts(places: &Value, more: &str) -> String {
    let name = Sentinels::MASTER;
    format!("[{{ sentinels = {places}, master_name = \"{name}\"{more} }}]")
}

fn format_of(backend: PythonBackend) -> &'static str {
    match backend {
        PythonBackend::PubSub => "pubsub",
        PythonBackend::Core => "core",
    }
}

/// Sentinels, two nodes with sockets, and Python; fields drop in this order.
struct Scene {
    core: bool,
    publisher: Publisher,
    sockets: Vec<Recorder>,
    python: PythonLayer,
    cluster: Cluster,
    sentinels: Sentinels,
}

impl Scene {
    async fn set(backend: PythonBackend) -> Result<Self> {
        let core = backend == PythonBackend::Core;
        let sentinels = Sentinels::start().await?;
        let places = places(&sentinels);
        let cluster = ClusterOptions::new()
            .nodes(2)
            .set("layer.redis.hosts", hosts(&places, ""))
            .set("layer.format", format_of(backend))
            .config(ROUTE);
        let cluster = cluster.start().await?;
        let mut sockets = Vec::new();
        for number in 0..SOCKETS {
            sockets.push(Recorder::new(cluster.nth(number).connect("/g/red").await?));
        }
        let mut options = PythonOptions::new(backend, [""; 0]);
        options.hosts = vec![json!({"sentinels": places, "master_name": Sentinels::MASTER})];
        let mut python = PythonLayer::with(&options).await?;
        let event = json!({"type": "say", "from": "python"});
        let group = PythonTarget::Group("red");
        python.start_sender(group, &event, PAUSE).await?;
        Ok(Self {
            core,
            publisher: Publisher::start(cluster[1].api().clone()),
            sockets,
            python,
            cluster,
            sentinels,
        })
    }

    /// Waits until every socket has got something that is not published yet, of both publishers.
    async fn delivers(&mut self) -> Result<()> {
        let python = self.python.sender_progress().await?.attempts as u64;
        let api = self.publisher.taken().last().copied().unwrap_or(0);
        eventually(FAILOVER, "new events on every socket", async || {
            self.publisher.check()?;
            for socket in &self.sockets {
                for (from, known) in [("python", python), ("api", api)] {
                    let last = numbers(socket, from)?.last().copied();
                    ensure!(last > Some(known), "{from} has come to {last:?} of {known}");
                }
            }
            Ok(Some(()))
        })
        .await
    }

    async fn gaps_are_counted(&self) -> Result<()> {
        for node in self.cluster.nodes() {
            let gaps = node.metric("fanfare_layer_gaps_total", &[]).await?;
            ensure!((gaps == 0.0) == self.core, "{gaps} gaps");
        }
        Ok(())
    }

    /// Everything that was taken is with every socket.
    async fn nothing_is_missing(&mut self) -> Result<()> {
        let api = self.publisher.taken();
        let python = self.python.stop_sender().await?;
        ensure!(
            python.sent + python.errors.values().sum::<usize>() == python.attempts,
            "{python:?}"
        );
        eventually(SOON, "all that was taken", async || {
            for socket in &self.sockets {
                let got: BTreeSet<_> = numbers(socket, "api")?.into_iter().collect();
                let missing: Vec<_> = api.difference(&got).collect();
                ensure!(missing.is_empty(), "of the API: {missing:?}");
                // Python does not say which of them failed.
                let got = numbers(socket, "python")?.len();
                ensure!(got >= python.sent, "of Python: {got} of {}", python.sent);
            }
            Ok(Some(()))
        })
        .await?;
        let full = self.python.logged().await?;
        ensure!(full.is_empty(), "{full:?}");
        let event = json!({"type": "say", "from": "python again"});
        let group = PythonTarget::Group("red");
        self.python.start_sender(group, &event, PAUSE).await
    }

    /// All sessions have stayed, and got nothing twice or in another order.
    async fn all_is_well(&self) -> Result<()> {
        for socket in &self.sockets {
            ensure!(socket.closed().is_none(), "a session was closed");
            for from in ["python", "python again", "api"] {
                let all = numbers(socket, from)?;
                ensure!(all.is_sorted_by(|one, next| one < next), "{from}: {all:?}");
            }
        }
        for node in self.cluster.nodes() {
            let sessions = node.metric("fanfare_sessions", &[]).await?;
            ensure!(sessions == (SOCKETS / 2) as f64, "{sessions} sessions");
        }
        Ok(())
    }
}

async fn a_dead_master_is_followed(backend: PythonBackend) -> Result<()> {
    let mut scene = Scene::set(backend).await?;
    scene.delivers().await?;
    let old = scene.sentinels.kill_master()?;
    let failures = "fanfare_layer_publish_failures_total";
    // A publish of every kind fails in the gap, and is counted.
    scene.cluster[1]
        .metric_when(failures, &[], FAILOVER, |count| count >= 1.0)
        .await?;
    scene.sentinels.moved_from(old).await?;
    scene.delivers().await?;
    for node in scene.cluster.nodes() {
        node.ready_is(200, FAILOVER).await?;
    }
    scene.gaps_are_counted().await?;
    let refused = scene.publisher.refused.load(Ordering::Relaxed) as f64;
    assert!(refused > 0.0, "the API said so");
    assert_eq!(scene.cluster[1].metric(failures, &[]).await?, refused);
    if scene.core {
        scene.nothing_is_missing().await?;
    }
    scene.all_is_well().await
}

async fn a_failover_of_a_living_master_is_followed(backend: PythonBackend) -> Result<()> {
    let mut scene = Scene::set(backend).await?;
    scene.delivers().await?;
    scene.sentinels.failover().await?;
    for node in scene.cluster.nodes() {
        let reconnects = "fanfare_layer_reconnects_total";
        node.metric_when(reconnects, &[], FAILOVER, |count| count >= 1.0)
            .await?;
        node.ready_is(200, FAILOVER).await?;
    }
    scene.delivers().await?;
    scene.gaps_are_counted().await?;
    scene.all_is_well().await
}

/// The rules of the documentation are enough where Sentinel says who the master is.
async fn users_with_the_documented_rules_find_the_master(backend: PythonBackend) -> Result<()> {
    let heading = match backend {
        PythonBackend::PubSub => "Pub/sub",
        PythonBackend::Core => "Core",
    };
    let sentinels = Sentinels::start().await?;
    let master = sentinels.master()?;
    for (user, more) in [("fanfare", Some("+role")), ("django", None)] {
        let rules = documented_rules(heading, user)?;
        let rules: Vec<_> = rules.iter().map(String::as_str).chain(more).collect();
        master.add_user(user, "pw", &rules)?;
    }
    let places = places(&sentinels);
    let cluster = ClusterOptions::new()
        .set(
            "layer.redis.hosts",
            hosts(&places, ", username = \"fanfare\", password = \"pw\""),
        )
        .set("layer.format", format_of(backend))
        .config(ROUTE);
    let cluster = cluster.start().await?;
    let mut socket = cluster[0].connect("/g/red").await?;
    let mut options = PythonOptions::new(backend, [""; 0]);
    options.hosts = vec![json!({
        "sentinels": places, "master_name": Sentinels::MASTER, "username": "django", "password": "pw",
    })];
    let mut python = PythonLayer::with(&options).await?;
    python
        .group_send("red", &json!({"type": "say", "from": "django"}))
        .await?;
    let event = r#"{"type":"say","from":"django"}"#;
    assert_eq!(socket.text().await?, event);
    assert_eq!(master.denials()?, [""; 0]);
    Ok(())
}

macro_rules! on {
    ($format:ident, $backend:ident: $($name:ident,)+) => {
        mod $format {
            use fanfare_rig::PythonBackend;

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() -> anyhow::Result<()> {
                super::$name(PythonBackend::$backend).await
            })+
        }
    };
}

on! { pubsub, PubSub:
    a_dead_master_is_followed,
    a_failover_of_a_living_master_is_followed,
    users_with_the_documented_rules_find_the_master,
}
on! { core, Core:
    a_dead_master_is_followed,
    a_failover_of_a_living_master_is_followed,
    users_with_the_documented_rules_find_the_master,
}
