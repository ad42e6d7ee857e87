//! Resident memory of one more membership of a session.

use serde_json::json;

use super::Bench;
use super::load::{MANY, same};
use crate::loader::connect_all;
use crate::proc::memory::settled_kib;
use crate::report::Outcome;
use crate::server::{Program, Server};

const RUNS: usize = 3;
/// Groups that each session joins, one after the other.
const GROUPS: usize = 50;

/// Measures sessions of a consumer in many groups and in none; the difference is the memberships'.
pub(super) fn measure(name: &str, sessions: usize, bench: &Bench) -> anyhow::Result<Outcome> {
    let program = bench.consumers(false);
    let mut samples = Vec::new();
    for number in 0..bench.at_most(RUNS) {
        let bytes = membership(&program, sessions, bench)?;
        eprintln!("{name} {}: {program} {bytes:.1} bytes", number + 1);
        samples.push(bytes);
    }
    let mut outcome = Outcome::of(name, "bytes a membership", &samples)?;
    outcome.details = vec![format!(
        "{program}: {sessions} sessions, each in the same {GROUPS} groups, less as many in none"
    )];
    if let Some(old) = bench.old() {
        outcome
            .notes
            .push(format!("{} has no such route", old.consumers));
    }
    outcome.runs = json!({ "product": samples });
    Ok(outcome)
}

fn membership(program: &Program, sessions: usize, bench: &Bench) -> anyhow::Result<f64> {
    let many = resident(program, GROUPS, sessions, bench)?;
    let none = resident(program, 0, sessions, bench)?;
    Ok((many - none) * 1024.0 / (sessions * GROUPS) as f64)
}

/// KiB that the sessions take together.
fn resident(
    program: &Program,
    groups: usize,
    sessions: usize,
    bench: &Bench,
) -> anyhow::Result<f64> {
    let server = Server::start(program, bench.cores)?;
    let (before, _) = settled_kib(server.pid())?;
    let open = connect_all(server.addr(), &same(&format!("{MANY}/{groups}"), sessions))?;
    let (after, _) = settled_kib(server.pid())?;
    drop(open);
    Ok(after.saturating_sub(before) as f64)
}
