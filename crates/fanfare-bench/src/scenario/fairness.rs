//! How long a group that is written to without pause holds up another session of its thread.

use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use serde_json::json;

use super::Bench;
use super::load::{CHAT, ECHO, plan, same};
use super::run::cleanest;
use crate::loader::{Flood, Probe, connect_all};
use crate::proc::cpu::Sample;
use crate::report::Outcome;
use crate::server::{Program, Server};
use crate::stats::Latency;

const RUNS: usize = 5;
/// Runs are this many times longer than others: a p99 needs some thousand echoes.
const LONGER: u32 = 3;

/// Latency of the echo session without and with the flood.
#[derive(Debug, Clone, Copy, Serialize)]
struct Delay {
    idle: Latency,
    flooded: Latency,
    /// Messages published to the group meanwhile.
    published: u64,
    /// Longest time in which the loader itself did not look.
    loader_gap_ms: f64,
    foreign: f64,
}

impl Delay {
    /// What the flood adds to the idle median.
    fn added(&self, of: fn(&Latency) -> f64) -> f64 {
        (of(&self.flooded) - self.idle.p50_ms).max(0.0)
    }
}

/// Measures the product a few times and the limit, which does not take turns, once.
pub(super) fn measure(name: &str, members: usize, bench: &Bench) -> anyhow::Result<Outcome> {
    let product = bench.product(false);
    let mut runs = Vec::new();
    for number in 0..bench.at_most(RUNS) {
        let delay = clean(members, &product, bench)?;
        eprintln!(
            "{name} {}: {product} p99 {:.2} ms, max {:.2} ms, foreign {:.0} %",
            number + 1,
            delay.added(|all| all.p99_ms),
            delay.added(|all| all.max_ms),
            delay.foreign * 100.0,
        );
        runs.push(delay);
    }
    let limit = clean(members, &Program::Limit { coalesce: false }, bench)?;
    let p99: Vec<f64> = runs.iter().map(|run| run.added(|all| all.p99_ms)).collect();
    let mut outcome = Outcome::of(name, "ms p99 delay", &p99)?;
    outcome.details = runs.iter().map(|run| describe(&product, run)).collect();
    outcome
        .details
        .push(describe(&Program::Limit { coalesce: false }, &limit));
    let noisy = runs
        .iter()
        .filter(|run| run.foreign > crate::proc::cpu::NOISY)
        .count();
    if noisy > 0 {
        outcome.notes.push(format!(
            "{noisy} of {} runs disturbed by others",
            runs.len()
        ));
    }
    outcome.runs = json!({ "product": runs, "limit": [limit] });
    Ok(outcome)
}

fn describe(program: &Program, run: &Delay) -> String {
    format!(
        "{program}: idle p50 {:.2} ms; added p50 {:.2}, p99 {:.2}, max {:.2} ms over {} echoes and \
         {} messages; loader gap at most {:.2} ms",
        run.idle.p50_ms,
        run.added(|all| all.p50_ms),
        run.added(|all| all.p99_ms),
        run.added(|all| all.max_ms),
        run.flooded.count,
        run.published,
        run.loader_gap_ms,
    )
}

fn clean(members: usize, program: &Program, bench: &Bench) -> anyhow::Result<Delay> {
    cleanest(
        bench,
        |delay: &Delay| delay.foreign,
        || once(members, program, bench),
    )
}

fn once(members: usize, program: &Program, bench: &Bench) -> anyhow::Result<Delay> {
    let server = Server::start(program, bench.cores)?;
    let members = connect_all(server.addr(), &same(CHAT, members))?;
    let echo = connect_all(server.addr(), &same(ECHO, 1))?;
    let probe = Probe::new(echo.into_iter().next().context("no echo session")?);
    let mut flood = Flood::new(members, probe)?;
    flood.check()?;
    let idle = flood.idle(bench.time)?;
    let sample = Sample::take(server.pid(), bench.cores)?;
    let (flooded, tally) = flood.flooded(&plan(1, bench.time * LONGER))?;
    let usage = sample.until_now(server.pid(), bench.cores)?;
    let gap: Duration = flooded.longest_gap;
    Ok(Delay {
        idle: Latency::of(&idle.times).context("no echo came back while idle")?,
        flooded: Latency::of(&flooded.times).context("no echo came back under load")?,
        published: tally.published,
        loader_gap_ms: gap.as_secs_f64() * 1e3,
        foreign: usage.foreign,
    })
}
