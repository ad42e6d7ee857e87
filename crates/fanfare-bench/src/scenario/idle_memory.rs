//! Resident memory of sessions that do nothing, before and after a few broadcasts.

use serde::Serialize;
use serde_json::json;

use super::Bench;
use super::load::{CHAT, IDLE, plan, same};
use crate::loader::{FanOut, Plan, connect_all};
use crate::proc::memory::settled_kib;
use crate::report::Outcome;
use crate::server::{Program, Server};

const RUNS: usize = 3;
const BROADCASTS: u64 = 10;

/// Resident KiB for each session.
#[derive(Debug, Clone, Copy, Serialize)]
struct Memory {
    idle_kib: f64,
    after_broadcasts_kib: f64,
    /// Whether the memory of the process stood still when it was read.
    settled: bool,
}

/// Sessions of one path of a program.
struct Crowd {
    program: Program,
    path: &'static str,
    sessions: usize,
}

/// Measures the product a few times and the limit once.
pub(super) fn measure(name: &str, sessions: usize, bench: &Bench) -> anyhow::Result<Outcome> {
    let of = |program| Crowd {
        program,
        path: CHAT,
        sessions,
    };
    let limit = of(Program::Limit { coalesce: false });
    compare(name, &of(bench.product(false)), &limit, bench)
}

/// Measures a consumer a few times and a configured route once.
pub(super) fn measure_consumer(
    name: &str,
    sessions: usize,
    bench: &Bench,
) -> anyhow::Result<Outcome> {
    let consumer = Crowd {
        program: bench.consumers(false),
        path: IDLE,
        sessions,
    };
    let route = Crowd {
        program: bench.product(false),
        path: CHAT,
        sessions,
    };
    compare(name, &consumer, &route, bench)
}

fn compare(name: &str, measured: &Crowd, beside: &Crowd, bench: &Bench) -> anyhow::Result<Outcome> {
    let mut runs = Vec::new();
    for number in 0..bench.at_most(RUNS) {
        let memory = once(measured, bench)?;
        let (number, program) = (number + 1, &measured.program);
        eprintln!("{name} {number}: {program} {:.2} KiB", memory.idle_kib);
        runs.push(memory);
    }
    let other = once(beside, bench)?;
    let idle: Vec<f64> = runs.iter().map(|run| run.idle_kib).collect();
    let after: Vec<f64> = runs.iter().map(|run| run.after_broadcasts_kib).collect();
    let after = Outcome::of(name, "", &after)?.value;
    let mut outcome = Outcome::of(name, "KiB a session", &idle)?;
    outcome.details = vec![
        format!(
            "{}: {after:.2} KiB after {BROADCASTS} broadcasts",
            measured.program
        ),
        format!(
            "{}: {:.2} KiB, {:.2} after",
            beside.program, other.idle_kib, other.after_broadcasts_kib
        ),
    ];
    if runs.iter().any(|run| !run.settled) {
        outcome
            .notes
            .push("the memory of the server did not come to rest".to_owned());
    }
    outcome.runs = json!({ "product": runs, "beside": [other] });
    Ok(outcome)
}

fn once(crowd: &Crowd, bench: &Bench) -> anyhow::Result<Memory> {
    let server = Server::start(&crowd.program, bench.cores)?;
    let (before, still_before) = settled_kib(server.pid())?;
    let paths = same(crowd.path, crowd.sessions);
    let mut group = FanOut::new(connect_all(server.addr(), &paths)?)?;
    let (idle, still_idle) = settled_kib(server.pid())?;
    group.check()?;
    group.run(&Plan {
        messages: BROADCASTS - 1,
        ..plan(1, bench.time.max(crate::loader::STALL_LIMIT))
    })?;
    let (after, still_after) = settled_kib(server.pid())?;
    let each = |kib: u64| kib.saturating_sub(before) as f64 / crowd.sessions as f64;
    Ok(Memory {
        idle_kib: each(idle),
        after_broadcasts_kib: each(after),
        settled: still_before && still_idle && still_after,
    })
}
