//! Two programs under load, compared: interleaved pairs, the median of their ratios.

use serde_json::json;

use super::Bench;
use super::load::Side;
use super::run::{Pair, Run, notes, pairs};
use super::sides::Sides;
use crate::report::{Outcome, thousands};
use crate::server::Program;
use crate::stats::Spread;

/// Runs the pairs.
pub(super) fn compare(name: &str, sides: &Sides, bench: &Bench) -> anyhow::Result<Outcome> {
    let pairs = pairs(sides, bench, false, |so_far| {
        tell(name, sides, bench, so_far)
    })?;
    let ratios: Vec<f64> = pairs
        .iter()
        .map(|pair| pair.product.rate() / pair.baseline.rate())
        .collect();
    let (ours, theirs): (Vec<Run>, Vec<Run>) = pairs
        .iter()
        .map(|pair| (pair.product, pair.baseline))
        .unzip();
    let mut outcome = Outcome::of(name, sides.unit, &ratios)?;
    outcome.details = vec![
        describe(&sides.product.program, &ours),
        describe(&sides.baseline.program, &theirs),
    ];
    let mut all_beside = Vec::new();
    for (index, side) in sides.beside.iter().enumerate() {
        let beside = beside(&pairs, index);
        outcome.details.push(describe(&side.program, &beside));
        outcome
            .details
            .push(describe_ratio(sides, side, &pairs, index));
        all_beside.push(json!({ "program": side.program.to_string(), "runs": beside }));
    }
    outcome.notes = notes(&pairs);
    outcome.runs = json!({ "product": ours, "baseline": theirs, "beside": all_beside });
    Ok(outcome)
}

fn tell(name: &str, sides: &Sides, bench: &Bench, so_far: &[Pair]) {
    let Some(pair) = so_far.last() else { return };
    eprintln!(
        "{name} {}/{}: {} {}, {} {}, ratio {:.3}, foreign {:.0} %",
        so_far.len(),
        bench.pairs.max(1),
        sides.product.program,
        thousands(pair.product.rate()),
        sides.baseline.program,
        thousands(pair.baseline.rate()),
        pair.product.rate() / pair.baseline.rate(),
        pair.product.usage.foreign.max(pair.baseline.usage.foreign) * 100.0,
    );
}

fn describe(program: &Program, runs: &[Run]) -> String {
    let median = |of: fn(&Run) -> f64| median(runs.iter().map(of));
    format!(
        "{program}: {}/s of server CPU, {}/s on the clock; server busy {:.0} %, loader {:.0} %",
        thousands(median(Run::rate)),
        thousands(median(|run| run.tally.delivered as f64 / run.tally.took_s)),
        median(Run::server_busy) * 100.0,
        median(Run::loader_busy) * 100.0,
    )
}

/// Against what is measured beside the baseline.
fn describe_ratio(sides: &Sides, beside: &Side, pairs: &[Pair], index: usize) -> String {
    let ratio = |pair: &Pair| Some(pair.product.rate() / pair.beside.get(index)?.rate());
    format!(
        "{}: {:.3} of {}",
        sides.product.program,
        median(pairs.iter().filter_map(ratio)),
        beside.program,
    )
}

/// The runs of one of the programs beside.
pub(super) fn beside(pairs: &[Pair], index: usize) -> Vec<Run> {
    let runs = pairs.iter().filter_map(|pair| pair.beside.get(index));
    runs.copied().collect()
}

/// The median; no number of nothing.
pub(super) fn median(values: impl Iterator<Item = f64>) -> f64 {
    Spread::of(&values.collect::<Vec<_>>()).map_or(f64::NAN, |all| all.median)
}
