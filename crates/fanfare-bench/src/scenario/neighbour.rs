//! What clients that send without pause take from another client of their thread.

use anyhow::Context as _;
use serde::Serialize;
use serde_json::json;

use super::Bench;
use super::load::{ECHO, same};
use crate::attack::{Attack, Plan};
use crate::loader::{Neighbour, Neighbourhood, connect_all};
use crate::report::Outcome;
use crate::server::{Program, Server};
use crate::stats::Latency;

/// Runs under attack are this many times longer: a p99 needs some hundred echoes.
const LONGER: u32 = 2;
/// A p99 up to this is good enough however quiet it was before, in milliseconds.
const ENOUGH_MS: f64 = 5.0;

/// Latencies without and with the attackers.
#[derive(Debug, Clone, Copy, Serialize)]
struct Run {
    quiet: Latency,
    attacked: Latency,
    quiet_health: Latency,
    attacked_health: Latency,
    /// Longest time in which the loader itself did not look.
    loader_gap_ms: f64,
}

impl Run {
    /// The p99 under attack, as a share of what it may be.
    fn share(&self) -> f64 {
        self.attacked.p99_ms / (2.0 * self.quiet.p99_ms).max(ENOUGH_MS)
    }
}

/// Measures each kind of attack with each number of clients.
pub(super) fn measure(name: &str, clients: &[u16], bench: &Bench) -> anyhow::Result<Outcome> {
    let mut programs = vec![bench.product(false)];
    let old = bench.servers.as_ref().and_then(|all| all.old.as_ref());
    programs.extend(old.map(|old| old.fanfare.clone()));
    let (mut shares, mut details, mut runs) = (Vec::new(), Vec::new(), Vec::new());
    for attack in Attack::ALL {
        for &clients in clients {
            for (place, program) in programs.iter().enumerate() {
                let line = match once(attack, clients, program, bench) {
                    Ok(run) => {
                        if place == 0 {
                            shares.push(run.share());
                        }
                        runs.push(json!({ "attack": format!("{attack:?}"), "clients": clients,
                            "program": program.to_string(), "run": run }));
                        describe(&run)
                    }
                    // An earlier build may give up altogether; the product may not.
                    Err(error) if place > 0 => format!("{error:#}"),
                    Err(error) => return Err(error),
                };
                let line = format!("{attack:?} x {clients}, {program}: {line}");
                eprintln!("{name}: {line}");
                details.push(line);
            }
        }
    }
    let mut outcome = Outcome::of(name, "of what the worst p99 may be", &shares)?;
    outcome.value = outcome.spread.max;
    outcome.details = details;
    outcome.runs = json!(runs);
    Ok(outcome)
}

fn describe(run: &Run) -> String {
    let of = |latency: &Latency| {
        format!(
            "{:.2} / {:.2} / {:.1}",
            latency.p50_ms, latency.p99_ms, latency.max_ms
        )
    };
    format!(
        "echo p50 / p99 / max {} ms quiet, {} ms attacked; health {} ms quiet, {} ms attacked; \
         loader gap at most {:.1} ms",
        of(&run.quiet),
        of(&run.attacked),
        of(&run.quiet_health),
        of(&run.attacked_health),
        run.loader_gap_ms,
    )
}

fn once(attack: Attack, clients: u16, program: &Program, bench: &Bench) -> anyhow::Result<Run> {
    let server = Server::start(program, bench.cores)?;
    let echo = connect_all(server.addr(), &same(ECHO, 1))?;
    let echo = echo.into_iter().next().context("no echo session")?;
    let mut neighbour = Neighbour::new(echo, server.addr())?;
    let quiet = neighbour.look(bench.time)?;
    let plan = Plan {
        attack,
        clients,
        address: server.addr(),
        seconds: 60,
    };
    let mut attackers = plan.start()?;
    let attacked = neighbour.look(bench.time * LONGER)?;
    if let Some(status) = attackers.ended()? {
        anyhow::bail!("the attackers ended before the run: {status}");
    }
    let latency = |seen: &Neighbourhood| {
        let echo = Latency::of(&seen.echo.times).context("no echo came back")?;
        let health = Latency::of(&seen.health).context("no health was answered")?;
        anyhow::Ok((echo, health))
    };
    let (quiet, quiet_health) = latency(&quiet)?;
    let gap = attacked.echo.longest_gap;
    let (attacked, attacked_health) = latency(&attacked)?;
    Ok(Run {
        quiet,
        attacked,
        quiet_health,
        attacked_health,
        loader_gap_ms: gap.as_secs_f64() * 1e3,
    })
}
