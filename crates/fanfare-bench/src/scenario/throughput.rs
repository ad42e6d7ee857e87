//! Product against limit: interleaved pairs, the median of their ratios.

use serde_json::json;

use super::run::{Run, notes, pairs};
use super::{Bench, Scenario};
use crate::report::{Outcome, thousands};
use crate::server::Program;
use crate::stats::Spread;

/// Runs the pairs.
pub(super) fn compare(scenario: &Scenario, name: &str, bench: &Bench) -> anyhow::Result<Outcome> {
    let coalesce = matches!(scenario, Scenario::FanOut { in_flight: 2.., .. });
    let (product, limit) = (bench.product(coalesce), Program::Limit { coalesce });
    let pairs = pairs(scenario, (&product, &limit), bench, false, |so_far| {
        let Some(pair) = so_far.last() else { return };
        eprintln!(
            "{name} {}/{}: {product} {}, {limit} {}, ratio {:.3}, foreign {:.0} %",
            so_far.len(),
            bench.pairs.max(1),
            thousands(pair.product.rate()),
            thousands(pair.limit.rate()),
            pair.product.rate() / pair.limit.rate(),
            pair.product.usage.foreign.max(pair.limit.usage.foreign) * 100.0,
        );
    })?;
    let ratios: Vec<f64> = pairs
        .iter()
        .map(|pair| pair.product.rate() / pair.limit.rate())
        .collect();
    let (ours, limits): (Vec<Run>, Vec<Run>) =
        pairs.iter().map(|pair| (pair.product, pair.limit)).unzip();
    let mut outcome = Outcome::of(name, "of the limit", &ratios)?;
    outcome.details = vec![describe(&product, &ours), describe(&limit, &limits)];
    outcome.notes = notes(&pairs);
    outcome.runs = json!({ "product": ours, "limit": limits });
    Ok(outcome)
}

fn describe(program: &Program, runs: &[Run]) -> String {
    let median = |of: fn(&Run) -> f64| {
        Spread::of(&runs.iter().map(of).collect::<Vec<_>>()).map_or(f64::NAN, |all| all.median)
    };
    format!(
        "{program}: {}/s of server CPU, {}/s on the clock; server busy {:.0} %, loader {:.0} %",
        thousands(median(Run::rate)),
        thousands(median(|run| run.tally.delivered as f64 / run.tally.took_s)),
        median(Run::server_busy) * 100.0,
        median(Run::loader_busy) * 100.0,
    )
}
