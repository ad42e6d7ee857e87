//! Events per second that one node takes in from Python, against a Python process.
//!
//! A node's run ends when the client of its one session has all of them: they were received,
//! decoded, delivered and written. The Python process has only received and decoded them.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::Serialize;
use serde_json::json;

use super::backlog::{Backlog, Receiver, group_key};
use super::node::{self, Counted};
use super::python::{Python, Taken};
use super::sides::{Backend, NODE_PREFIX, PYTHON_PREFIX};
use super::{Bench, GROUP, PATH, STALL};
use crate::loader::{Listener, connect_all};
use crate::pause::poll_until;
use crate::proc::cpu::{NOISY, Sample, Usage};
use crate::redis_server::RedisServer;
use crate::report::{Outcome, thousands};
use crate::server::Server;
use crate::stats::Spread;

const STEP: Duration = Duration::from_millis(20);
/// How often a node takes the backlog in one run.
const ROUNDS: usize = 5;
const PYTHON_LIMIT: Duration = Duration::from_secs(300);

/// One run of either side.
#[derive(Debug, Clone, Copy, Serialize)]
struct Run {
    events: usize,
    took_s: f64,
    /// CPU of the receiver meanwhile.
    cpu_s: f64,
    /// The largest share of its core that went to others.
    foreign: f64,
}

impl Run {
    fn new(events: usize, took: Duration, usage: &Usage) -> Self {
        Self {
            events,
            took_s: took.as_secs_f64(),
            cpu_s: usage.server_s,
            foreign: usage.foreign_at_server,
        }
    }

    /// Both together.
    fn and(self, other: Self) -> Self {
        Self {
            events: self.events + other.events,
            took_s: self.took_s + other.took_s,
            cpu_s: self.cpu_s + other.cpu_s,
            foreign: self.foreign.max(other.foreign),
        }
    }

    fn rate(&self) -> f64 {
        self.events as f64 / self.took_s
    }

    fn rate_of_cpu(&self) -> f64 {
        self.events as f64 / self.cpu_s
    }
}

/// Measures the pairs.
pub(super) fn measure(name: &str, backend: Backend, bench: &Bench) -> anyhow::Result<Outcome> {
    bench.cores.enter_loader()?;
    let redis = RedisServer::start()?;
    let mut node = Node::start(bench, &redis, backend)?;
    let mut process = Process::start(bench, &redis, backend)?;
    let begun = Instant::now();
    let receivers = [&node.receiver, &process.receiver];
    let mut backlog = Backlog::fill(bench, &redis, backend, receivers)?;
    let filled = begun.elapsed().as_secs_f64();
    eprintln!(
        "{name}: Python has sent {} events in {filled:.1} s",
        bench.events
    );
    let (mut nodes, mut processes) = (Vec::new(), Vec::new());
    for number in 0..bench.pairs {
        if number % 2 == 0 {
            nodes.push(node.run(&mut backlog, bench)?);
            processes.push(process.run(&mut backlog, bench)?);
        } else {
            processes.push(process.run(&mut backlog, bench)?);
            nodes.push(node.run(&mut backlog, bench)?);
        }
        tell(name, bench, &nodes, &processes);
    }
    let ratio = |(node, process): (&Run, &Run)| node.rate() / process.rate();
    let ratios: Vec<f64> = nodes.iter().zip(&processes).map(ratio).collect();
    let mut outcome = Outcome::of(name, "times a Python process", &ratios)?;
    outcome.details = details(&nodes, &processes);
    outcome.notes = notes(&nodes, &processes);
    outcome.runs = json!({ "node": nodes, "python": processes });
    Ok(outcome)
}

fn tell(name: &str, bench: &Bench, nodes: &[Run], processes: &[Run]) {
    if let (Some(node), Some(process)) = (nodes.last(), processes.last()) {
        eprintln!(
            "{name} {}/{}: node {}, Python {}, ratio {:.1}",
            nodes.len(),
            bench.pairs,
            thousands(node.rate()),
            thousands(process.rate()),
            node.rate() / process.rate(),
        );
    }
}

fn details(nodes: &[Run], processes: &[Run]) -> Vec<String> {
    let median = |runs: &[Run], of: fn(&Run) -> f64| {
        let values: Vec<f64> = runs.iter().map(of).collect();
        Spread::of(&values).map_or(f64::NAN, |spread| spread.median)
    };
    let line = |who: &str, runs: &[Run]| {
        format!(
            "{who}: {} events per second on the clock, {} per second of its CPU; none lost",
            thousands(median(runs, Run::rate)),
            thousands(median(runs, Run::rate_of_cpu)),
        )
    };
    let of_cpu = median(nodes, Run::rate_of_cpu) / median(processes, Run::rate_of_cpu);
    vec![
        line("node", nodes),
        line("Python", processes),
        format!("per second of CPU: {of_cpu:.1} times"),
    ]
}

fn notes(nodes: &[Run], processes: &[Run]) -> Vec<String> {
    let noisy = |(node, process): &(&Run, &Run)| node.foreign.max(process.foreign) > NOISY;
    let disturbed = nodes.iter().zip(processes).filter(noisy).count();
    let note = || {
        format!(
            "{disturbed} of {} pairs disturbed by other processes",
            nodes.len()
        )
    };
    (disturbed > 0).then(note).into_iter().collect()
}

/// A node with one session.
struct Node {
    server: Server,
    session: Listener,
    receiver: Receiver,
}

impl Node {
    fn start(bench: &Bench, redis: &RedisServer, backend: Backend) -> anyhow::Result<Self> {
        let server = node::start(bench, redis, backend, backend.patient_node())?;
        let socket = connect_all(server.addr(), &[PATH.to_owned()])?.pop();
        let session = Listener::new(socket.context("no session")?, STALL)?;
        let receiver = Receiver {
            prefix: NODE_PREFIX,
            member: match backend {
                Backend::Core => member(redis)?,
                Backend::Pubsub => String::new(),
            },
            pid: server.pid(),
        };
        Ok(Self {
            server,
            session,
            receiver,
        })
    }

    /// The backlog several times, one after the other: once is too short a time to measure.
    fn run(&mut self, backlog: &mut Backlog, bench: &Bench) -> anyhow::Result<Run> {
        bench.wait_for_idle()?;
        let mut run = self.take(backlog, bench)?;
        for _ in 1..ROUNDS {
            run = run.and(self.take(backlog, bench)?);
        }
        Ok(run)
    }

    fn take(&mut self, backlog: &mut Backlog, bench: &Bench) -> anyhow::Result<Run> {
        let before = Counted::of(&self.server)?;
        let sample = Sample::take(self.server.pid(), bench.cores)?;
        let start = backlog.give(&self.receiver)?;
        let end = self.session.collect(bench.events);
        let usage = sample.until_now(self.server.pid(), bench.cores)?;
        let counted = Counted::of(&self.server)?.since(before);
        let end = end.with_context(|| format!("the node counted {counted:?}"))?;
        ensure!(
            counted.received >= bench.events as u64 && counted.dropped == 0,
            "the node delivered all and counted {counted:?}"
        );
        let took = end.duration_since(start);
        Ok(Run::new(bench.events, took, &usage))
    }
}

/// The node's name in its group.
fn member(redis: &RedisServer) -> anyhow::Result<String> {
    let mut connection = redis.connect()?;
    let mut members: Vec<String> = Vec::new();
    let there = poll_until(STALL, STEP, || {
        members = redis::cmd("ZRANGE")
            .arg(group_key(NODE_PREFIX))
            .arg(0)
            .arg(-1)
            .query(&mut connection)?;
        Ok(members.len() == 1)
    })?;
    ensure!(there, "the group of the node has the members {members:?}");
    members.pop().context("no member")
}

/// A Python process with one channel.
struct Process {
    python: Python,
    receiver: Receiver,
}

impl Process {
    fn start(bench: &Bench, redis: &RedisServer, backend: Backend) -> anyhow::Result<Self> {
        let layer = backend.patient_layer(&redis.url(), PYTHON_PREFIX);
        let mut python =
            (bench.cores).on_server_core(|| Python::start(bench, "consumer.py", &layer))?;
        let join = json!({ "do": "join", "group": GROUP, "members": 1 });
        let receiver = Receiver {
            prefix: PYTHON_PREFIX,
            member: python.call(&join, STALL)?,
            pid: python.pid(),
        };
        Ok(Self { python, receiver })
    }

    fn run(&mut self, backlog: &mut Backlog, bench: &Bench) -> anyhow::Result<Run> {
        bench.wait_for_idle()?;
        let receive = json!({ "do": "receive", "count": bench.events });
        self.python.tell(&receive)?;
        self.python.expect("waiting", STALL)?;
        let sample = Sample::take(self.python.pid(), bench.cores)?;
        let start = backlog.give(&self.receiver)?;
        let taken: Taken = self.python.answer(PYTHON_LIMIT)?;
        let end = Instant::now();
        let usage = sample.until_now(self.python.pid(), bench.cores)?;
        taken.check(bench.events)?;
        let took = end.duration_since(start);
        Ok(Run::new(bench.events, took, &usage))
    }
}
