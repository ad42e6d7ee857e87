//! One run of a server under load, and which try of it to keep.

use std::time::Duration;

use serde::Serialize;

use super::Bench;
use super::load::Side;
use super::sides::Sides;
use crate::loader::Tally;
use crate::pause::pause;
use crate::proc::cpu::{NOISY, Sample, Usage, wait_for_idle};
use crate::proc::perf::Recording;
use crate::server::Server;

const QUIET: Duration = Duration::from_millis(50);

/// What one run gave.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Run {
    /// Messages and deliveries.
    pub(super) tally: Tally,
    /// CPU meanwhile.
    pub(super) usage: Usage,
    /// Share of the server's samples in user space, when `perf` took some.
    pub(super) sampled_user_share: Option<f64>,
}

impl Run {
    /// Deliveries per second of server CPU.
    pub(super) fn rate(&self) -> f64 {
        self.tally.delivered as f64 / self.usage.server_s
    }

    /// Share of the run in which the server was on its core.
    pub(super) fn server_busy(&self) -> f64 {
        self.usage.server_s / self.tally.took_s
    }

    /// Share of the run in which the loader was on its core.
    pub(super) fn loader_busy(&self) -> f64 {
        self.usage.loader_s / self.tally.took_s
    }

    /// Whether the loader, not the server, set the pace.
    pub(super) fn loader_bound(&self) -> bool {
        self.loader_busy() > 0.95 && self.server_busy() < 0.90
    }
}

/// Repeats a run that others disturb, a few times, and keeps the cleanest (not the fastest).
/// `foreign` tells how much of a core the others took.
pub(super) fn cleanest<T>(
    bench: &Bench,
    foreign: impl Fn(&T) -> f64,
    mut run: impl FnMut() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    keep_cleanest(bench.tries, foreign, || {
        if bench.tries > 1 {
            wait_for_idle(bench.cores)?;
        }
        run()
    })
}

fn keep_cleanest<T>(
    tries: usize,
    foreign: impl Fn(&T) -> f64,
    mut run: impl FnMut() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut best = run()?;
    for _ in 1..tries {
        if foreign(&best) <= NOISY {
            break;
        }
        let next = run()?;
        if foreign(&next) < foreign(&best) {
            best = next;
        }
    }
    Ok(best)
}

/// The sides of a comparison, one after the other.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    /// Of the program under measurement.
    pub(super) product: Run,
    /// Of what it is measured against.
    pub(super) baseline: Run,
    /// Of what is measured beside them.
    pub(super) beside: Vec<Run>,
}

impl Pair {
    fn any(&self, of: impl Fn(&Run) -> bool) -> bool {
        of(&self.product) || of(&self.baseline) || self.beside.iter().any(of)
    }
}

/// Measures the sides in turn, as often as `bench` says; every second time in reverse.
/// `tell` is called with the pairs so far.
pub(super) fn pairs(
    sides: &Sides,
    bench: &Bench,
    perf: bool,
    tell: impl Fn(&[Pair]),
) -> anyhow::Result<Vec<Pair>> {
    let mut pairs = Vec::with_capacity(bench.pairs);
    for number in 0..bench.pairs.max(1) {
        pairs.push(pair(sides, number % 2 == 1, |side| {
            cleanest(
                bench,
                |run: &Run| run.usage.foreign,
                || side.run(bench, perf),
            )
        })?);
        tell(&pairs);
    }
    Ok(pairs)
}

fn pair(
    sides: &Sides,
    reverse: bool,
    mut run: impl FnMut(&Side) -> anyhow::Result<Run>,
) -> anyhow::Result<Pair> {
    if reverse {
        let beside = sides.beside.iter().rev().map(&mut run);
        let mut beside = beside.collect::<anyhow::Result<Vec<_>>>()?;
        beside.reverse();
        let baseline = run(&sides.baseline)?;
        let product = run(&sides.product)?;
        return Ok(Pair {
            product,
            baseline,
            beside,
        });
    }
    Ok(Pair {
        product: run(&sides.product)?,
        baseline: run(&sides.baseline)?,
        beside: sides
            .beside
            .iter()
            .map(run)
            .collect::<anyhow::Result<_>>()?,
    })
}

/// What makes pairs less trustworthy.
pub(super) fn notes(pairs: &[Pair]) -> Vec<String> {
    let count = |of: fn(&Run) -> bool| pairs.iter().filter(|pair| pair.any(of)).count();
    let mut notes = Vec::new();
    let noisy = count(|run| run.usage.noisy());
    if noisy > 0 {
        notes.push(format!(
            "{noisy} of {} pairs disturbed by other processes",
            pairs.len()
        ));
    }
    let bound = count(Run::loader_bound);
    if bound > 0 {
        notes.push(format!(
            "the loader was the bottleneck in {bound} of {} pairs",
            pairs.len()
        ));
    }
    notes
}

/// Reads the counters around a run.
pub(super) fn observe(
    server: &Server,
    bench: &Bench,
    perf: bool,
    load: impl FnOnce() -> anyhow::Result<Tally>,
) -> anyhow::Result<Run> {
    let recording = if perf {
        Some(Recording::start(server.pid())?)
    } else {
        None
    };
    // What the warm-up left to do is not part of the run.
    pause(QUIET);
    let sample = Sample::take(server.pid(), bench.cores)?;
    let tally = load()?;
    let usage = sample.until_now(server.pid(), bench.cores)?;
    let sampled_user_share = recording.map(Recording::user_share).transpose()?;
    Ok(Run {
        tally,
        usage,
        sampled_user_share,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(server_s: f64, loader_s: f64) -> Run {
        Run {
            tally: Tally {
                published: 1,
                delivered: 400,
                took_s: 1.0,
            },
            usage: Usage {
                wall_s: 1.02,
                server_s,
                loader_s,
                user_share: 0.1,
                foreign: 0.0,
                foreign_at_server: 0.0,
            },
            sampled_user_share: None,
        }
    }

    #[test]
    fn the_loader_is_the_bottleneck_when_it_is_full_and_the_server_is_not() {
        assert!(run(0.80, 0.97).loader_bound());
        assert!(!run(0.95, 0.97).loader_bound());
        assert!(!run(0.80, 0.90).loader_bound());
    }

    #[test]
    fn a_rate_is_deliveries_per_second_of_server_cpu_not_of_the_clock() {
        assert_eq!(run(0.5, 0.1).rate(), 800.0);
    }

    #[test]
    fn of_disturbed_tries_the_cleanest_is_kept() {
        let keep = |tries: [f64; 3]| {
            let mut tries = tries.into_iter();
            keep_cleanest(3, |foreign| *foreign, || Ok(tries.next().unwrap())).unwrap()
        };
        assert_eq!(keep([0.5, 0.2, 0.4]), 0.2);
        assert_eq!(keep([0.5, 0.05, 0.01]), 0.05);
        assert_eq!(keep([0.01, 0.0, 0.0]), 0.01);
    }
}
