//! Time in user space for one delivery: what the program itself costs, the kernel left out.

use serde_json::json;

use super::Bench;
use super::run::{Run, notes, pairs};
use super::sides::Sides;
use crate::report::Outcome;

/// Pairs of product and limit; all their time together gives the figure, because a tick of 4 ms
/// sees only a few moments of user space in one run.
pub(super) fn measure(name: &str, sides: &Sides, bench: &Bench) -> anyhow::Result<Outcome> {
    let (product, limit) = (&sides.product.program, &sides.baseline.program);
    let pairs = pairs(sides, bench, bench.perf, |so_far| {
        eprintln!(
            "{name} {}/{}: {product} {:.3} us, {limit} {:.3} us so far",
            so_far.len(),
            bench.pairs.max(1),
            pooled(so_far.iter().map(|pair| &pair.product)),
            pooled(so_far.iter().map(|pair| &pair.baseline)),
        );
    })?;
    let (ours, limits): (Vec<Run>, Vec<Run>) = pairs
        .iter()
        .map(|pair| (pair.product, pair.baseline))
        .unzip();
    let each: Vec<f64> = ours.iter().map(|run| pooled([run])).collect();
    let mut outcome = Outcome::of(name, "us a delivery", &each)?;
    outcome.value = pooled(&ours);
    let method = if bench.perf {
        "share of perf's cpu-clock samples in user space"
    } else {
        "share of user ticks in /proc/PID/stat; --perf samples finer"
    };
    outcome.details = vec![
        format!("method: {method}, times server CPU, all runs together"),
        format!(
            "{product}: {:.3} us; {limit}: {:.3} us",
            pooled(&ours),
            pooled(&limits)
        ),
    ];
    outcome.notes = notes(&pairs);
    outcome.runs = json!({ "product": ours, "baseline": limits });
    Ok(outcome)
}

/// Microseconds of user space for a delivery over all these runs.
fn pooled<'a>(runs: impl IntoIterator<Item = &'a Run>) -> f64 {
    let (user, delivered) = runs.into_iter().fold((0.0, 0), |(user, delivered), run| {
        (user + user_seconds(run), delivered + run.tally.delivered)
    });
    user / delivered as f64 * 1e6
}

fn user_seconds(run: &Run) -> f64 {
    run.sampled_user_share.unwrap_or(run.usage.user_share) * run.usage.server_s
}
