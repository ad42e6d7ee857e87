//! What a `group_send` costs a Python producer, in the core format: to sessions of three nodes, and
//! to as many channels of three Python processes.
//!
//! The next event goes out when everybody has the last one, so the machine is otherwise idle during
//! a call but for the deliveries that the call itself sets off.

use std::time::Duration;

use anyhow::ensure;
use serde_json::json;

use super::backlog::group_key;
use super::node;
use super::python::{Python, Taken};
use super::sides::{Backend, NODE_PREFIX, PYTHON_PREFIX};
use super::{Bench, GROUP, PATH, STALL};
use crate::loader::{FanOut, connect_all, payload};
use crate::redis_server::RedisServer;
use crate::report::Outcome;
use crate::server::Server;
use crate::stats::{Latency, Spread};

const NODES: usize = 3;
const JOIN_LIMIT: Duration = Duration::from_secs(120);
const NAME: &str = "channels-producer";

/// Those who get what a producer sends.
struct Crowd {
    producer: Python,
    receivers: Receivers,
    /// Members that Redis has in the group.
    members: usize,
}

enum Receivers {
    /// The sessions, and the nodes that hold them.
    Sessions(
        FanOut,
        #[expect(dead_code, reason = "they end when this is dropped")] Vec<Server>,
    ),
    /// Processes whose channels are the members.
    Processes(Vec<Python>),
}

/// Measures the pairs.
pub(super) fn measure(bench: &Bench) -> anyhow::Result<Outcome> {
    bench.cores.enter_loader()?;
    let redis = RedisServer::start()?;
    let mut sessions = sessions(bench, &redis)?;
    let mut processes = processes(bench, &redis)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for number in 0..bench.pairs {
        if number % 2 == 0 {
            ours.push(sessions.run(bench)?);
            theirs.push(processes.run(bench)?);
        } else {
            theirs.push(processes.run(bench)?);
            ours.push(sessions.run(bench)?);
        }
        if let (Some(our), Some(their)) = (ours.last(), theirs.last()) {
            eprintln!(
                "{NAME} {}/{}: sessions {:.3} ms, Python {:.3} ms",
                number + 1,
                bench.pairs,
                median_ms(our),
                median_ms(their)
            );
        }
    }
    if let Receivers::Sessions(group, _) = &mut sessions.receivers {
        group.check_all()?;
    }
    let medians: Vec<f64> = ours.iter().map(|run| median_ms(run)).collect();
    let mut outcome = Outcome::of(NAME, "ms a group_send", &medians)?;
    let their_medians: Vec<f64> = theirs.iter().map(|run| median_ms(run)).collect();
    let their_median = Spread::of(&their_medians).map_or(f64::NAN, |spread| spread.median);
    outcome.details = vec![
        line("sessions on nodes", bench, &sessions, &ours),
        line("channels of Python processes", bench, &processes, &theirs),
        format!(
            "Python to Fanfare: {:.1} times",
            their_median / outcome.value
        ),
    ];
    outcome.runs = json!({ "sessions": seconds(&ours), "python": seconds(&theirs) });
    Ok(outcome)
}

fn line(who: &str, bench: &Bench, crowd: &Crowd, runs: &[Vec<Duration>]) -> String {
    let all: Vec<Duration> = runs.iter().flatten().copied().collect();
    let Some(latency) = Latency::of(&all) else {
        return format!("{who}: nothing was sent");
    };
    format!(
        "{} {who}, {} members in Redis: p50 {:.3} ms, p99 {:.3}, max {:.3}; {} events, each had by all",
        bench.sessions,
        crowd.members,
        latency.p50_ms,
        latency.p99_ms,
        latency.max_ms,
        latency.count
    )
}

fn median_ms(times: &[Duration]) -> f64 {
    Latency::of(times).map_or(f64::NAN, |latency| latency.p50_ms)
}

fn seconds(runs: &[Vec<Duration>]) -> Vec<Vec<f64>> {
    let run = |times: &Vec<Duration>| times.iter().map(Duration::as_secs_f64).collect();
    runs.iter().map(run).collect()
}

/// How many of the crowd are with each node or process.
fn parts(count: usize) -> impl Iterator<Item = usize> {
    (0..NODES).map(move |at| count / NODES + usize::from(at < count % NODES))
}

fn sessions(bench: &Bench, redis: &RedisServer) -> anyhow::Result<Crowd> {
    let (mut nodes, mut sockets) = (Vec::new(), Vec::new());
    for count in parts(bench.sessions) {
        let server = node::start(bench, redis, Backend::Core, Vec::new())?;
        sockets.extend(connect_all(server.addr(), &vec![PATH.to_owned(); count])?);
        nodes.push(server);
    }
    let receivers = Receivers::Sessions(FanOut::new(sockets)?, nodes);
    let mut crowd = Crowd::new(bench, redis, NODE_PREFIX, receivers)?;
    ensure!(crowd.members == NODES, "{} members of nodes", crowd.members);
    // Byte for byte, once; then connections and caches are warm, too.
    crowd.send()?;
    if let Receivers::Sessions(group, _) = &mut crowd.receivers {
        group.check_next()?;
    }
    Ok(crowd)
}

fn processes(bench: &Bench, redis: &RedisServer) -> anyhow::Result<Crowd> {
    let layer = Backend::Core.layer(&redis.url(), PYTHON_PREFIX);
    let mut processes = Vec::new();
    for count in parts(bench.sessions) {
        let start = || Python::start(bench, "consumer.py", &layer);
        let mut process = bench.cores.on_server_core(start)?;
        let join = json!({ "do": "join", "group": GROUP, "members": count });
        process.call::<String>(&join, JOIN_LIMIT)?;
        processes.push(process);
    }
    let receivers = Receivers::Processes(processes);
    let mut crowd = Crowd::new(bench, redis, PYTHON_PREFIX, receivers)?;
    ensure!(crowd.members == bench.sessions, "{} members", crowd.members);
    crowd.round()?;
    Ok(crowd)
}

impl Crowd {
    fn new(
        bench: &Bench,
        redis: &RedisServer,
        prefix: &str,
        receivers: Receivers,
    ) -> anyhow::Result<Self> {
        let layer = Backend::Core.layer(&redis.url(), prefix);
        Ok(Self {
            producer: Python::start(bench, "producer.py", &layer)?,
            receivers,
            members: redis::cmd("ZCARD")
                .arg(group_key(prefix))
                .query(&mut redis.connect()?)?,
        })
    }

    fn run(&mut self, bench: &Bench) -> anyhow::Result<Vec<Duration>> {
        bench.wait_for_idle()?;
        (0..bench.sends).map(|_| self.round()).collect()
    }

    /// One event, and everybody has it; what it cost the producer.
    fn round(&mut self) -> anyhow::Result<Duration> {
        if let Receivers::Processes(processes) = &mut self.receivers {
            for process in processes {
                process.tell(&json!({ "do": "receive", "count": 1 }))?;
                process.expect("waiting", STALL)?;
            }
        }
        let took = self.send()?;
        match &mut self.receivers {
            Receivers::Sessions(group, _) => group.expect_next(STALL)?,
            Receivers::Processes(processes) => {
                for process in processes {
                    process.answer::<Taken>(STALL)?.check(1)?;
                }
            }
        }
        Ok(took)
    }

    fn send(&mut self) -> anyhow::Result<Duration> {
        let text = String::from_utf8(payload::text())?;
        let send = json!({ "do": "send", "group": GROUP, "text": text });
        let seconds: f64 = self.producer.call(&send, STALL)?;
        Ok(Duration::from_secs_f64(seconds))
    }
}
