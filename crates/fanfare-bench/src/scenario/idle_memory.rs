//! Resident memory of sessions that do nothing, before and after a few broadcasts.

use serde::Serialize;
use serde_json::json;

use super::Bench;
use super::load::{CHAT, IDLE, USERS, plan, same};
use crate::loader::{FanOut, Plan, connect_all};
use crate::proc::memory::settled_kib;
use crate::redis_server::RedisServer;
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
    paths: Vec<String>,
}

/// Measures the product a few times and the limit once.
pub(super) fn measure(name: &str, sessions: usize, bench: &Bench) -> anyhow::Result<Outcome> {
    let of = |program| Crowd {
        program,
        paths: same(CHAT, sessions),
    };
    let mut beside = vec![of(Program::Limit { coalesce: false })];
    beside.extend(bench.old().map(|old| of(old.fanfare.clone())));
    compare(name, &of(bench.product(false)), &beside, bench)
}

/// Measures a consumer a few times and a configured route once.
pub(super) fn measure_consumer(
    name: &str,
    sessions: usize,
    bench: &Bench,
) -> anyhow::Result<Outcome> {
    let of = |program, path| Crowd {
        program,
        paths: same(path, sessions),
    };
    let mut beside = vec![of(bench.product(false), CHAT)];
    beside.extend(bench.old().map(|old| of(old.consumers.clone(), IDLE)));
    compare(name, &of(bench.consumers(false), IDLE), &beside, bench)
}

/// Measures a configured route whose sessions have users, on Redis pub/sub, a few times; a consumer
/// of the same and a configured route without either once.
pub(super) fn measure_users(name: &str, sessions: usize, bench: &Bench) -> anyhow::Result<Outcome> {
    let redis = RedisServer::start()?;
    let of_users = |program| Crowd {
        program,
        paths: (0..sessions)
            .map(|number| format!("{USERS}?user=u{number}"))
            .collect(),
    };
    let mut beside: Vec<Crowd> = bench
        .old()
        .map(|old| of_users(old.fanfare.clone().with_users_on(redis.url())))
        .into_iter()
        .collect();
    beside.push(of_users(bench.consumers(false).with_users_on(redis.url())));
    beside.push(Crowd {
        program: bench.product(false),
        paths: same(CHAT, sessions),
    });
    let product = bench.product(false).with_users_on(redis.url());
    compare(name, &of_users(product), &beside, bench)
}

fn compare(
    name: &str,
    measured: &Crowd,
    beside: &[Crowd],
    bench: &Bench,
) -> anyhow::Result<Outcome> {
    let mut runs = Vec::new();
    for number in 0..bench.at_most(RUNS) {
        let memory = once(measured, bench)?;
        let (number, program) = (number + 1, &measured.program);
        eprintln!("{name} {number}: {program} {:.2} KiB", memory.idle_kib);
        runs.push(memory);
    }
    let others: Vec<Memory> = beside
        .iter()
        .map(|crowd| once(crowd, bench))
        .collect::<anyhow::Result<_>>()?;
    let idle: Vec<f64> = runs.iter().map(|run| run.idle_kib).collect();
    let after: Vec<f64> = runs.iter().map(|run| run.after_broadcasts_kib).collect();
    let after = Outcome::of(name, "", &after)?.value;
    let mut outcome = Outcome::of(name, "KiB a session", &idle)?;
    outcome.details = vec![format!(
        "{}: {after:.2} KiB after {BROADCASTS} broadcasts",
        measured.program
    )];
    for (crowd, memory) in beside.iter().zip(&others) {
        outcome.details.push(format!(
            "{}: {:.2} KiB, {:.2} after",
            crowd.program, memory.idle_kib, memory.after_broadcasts_kib
        ));
    }
    if runs.iter().any(|run| !run.settled) {
        outcome
            .notes
            .push("the memory of the server did not come to rest".to_owned());
    }
    outcome.runs = json!({ "product": runs, "beside": others });
    Ok(outcome)
}

fn once(crowd: &Crowd, bench: &Bench) -> anyhow::Result<Memory> {
    let server = Server::start(&crowd.program, bench.cores)?;
    let (before, still_before) = settled_kib(server.pid())?;
    let mut group = FanOut::new(connect_all(server.addr(), &crowd.paths)?)?;
    let (idle, still_idle) = settled_kib(server.pid())?;
    group.check()?;
    group.run(&Plan {
        messages: BROADCASTS - 1,
        ..plan(1, bench.time.max(crate::loader::STALL_LIMIT))
    })?;
    let (after, still_after) = settled_kib(server.pid())?;
    let each = |kib: u64| kib.saturating_sub(before) as f64 / crowd.paths.len() as f64;
    Ok(Memory {
        idle_kib: each(idle),
        after_broadcasts_kib: each(after),
        settled: still_before && still_idle && still_after,
    })
}
