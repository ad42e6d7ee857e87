//! CPU of the server for opening a session: TCP, handshake, the join of a group of its own, and the end.

use serde_json::json;

use super::Bench;
use super::run::{Run, notes, pairs};
use super::sides::Sides;
use super::throughput::{beside, median};
use crate::report::Outcome;

/// Pairs of product and limit; the figure is the median of the ratios of their times.
pub(super) fn measure(name: &str, sessions: usize, bench: &Bench) -> anyhow::Result<Outcome> {
    let sides = Sides::connect(bench, sessions);
    let (product, limit) = (&sides.product.program, &sides.baseline.program);
    let pairs = pairs(&sides, bench, false, |so_far| {
        let Some(pair) = so_far.last() else { return };
        eprintln!(
            "{name} {}/{}: {product} {:.1} us, {limit} {:.1} us, ratio {:.2}",
            so_far.len(),
            bench.pairs.max(1),
            microseconds(&pair.product),
            microseconds(&pair.baseline),
            microseconds(&pair.product) / microseconds(&pair.baseline),
        );
    })?;
    let ratios = pairs
        .iter()
        .map(|pair| pair.baseline.rate() / pair.product.rate());
    let ratios: Vec<f64> = ratios.collect();
    let (ours, limits): (Vec<Run>, Vec<Run>) = pairs
        .iter()
        .map(|pair| (pair.product, pair.baseline))
        .unzip();
    let mut outcome = Outcome::of(name, "times the limit", &ratios)?;
    outcome.details = vec![
        describe(product.to_string(), &ours),
        describe(limit.to_string(), &limits),
    ];
    for (index, side) in sides.beside.iter().enumerate() {
        let runs = beside(&pairs, index);
        outcome
            .details
            .push(describe(side.program.to_string(), &runs));
        let ratio = median(ours.iter().map(microseconds)) / median(runs.iter().map(microseconds));
        outcome
            .details
            .push(format!("{product}: {ratio:.3} of {}", side.program));
    }
    outcome.notes = notes(&pairs);
    outcome.runs = json!({ "product": ours, "baseline": limits });
    Ok(outcome)
}

/// Of server CPU, for one session.
fn microseconds(run: &Run) -> f64 {
    1e6 / run.rate()
}

fn describe(program: String, runs: &[Run]) -> String {
    let time = median(runs.iter().map(microseconds));
    format!("{program}: {time:.1} us of server CPU a session")
}
