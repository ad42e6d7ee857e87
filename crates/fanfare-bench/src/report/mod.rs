//! What a measurement gave, against what it must reach.

mod text;

use anyhow::Context as _;
use serde::Serialize;

use crate::affinity::Cores;
use crate::proc::machine::Machine;
use crate::stats::Spread;

/// What a figure must reach and what it should.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Bar {
    /// Short of this it is missed.
    pub(crate) must: f64,
    /// The aim beyond, if there is one.
    pub(crate) aim: Option<f64>,
    /// Whether more is better.
    pub(crate) higher_is_better: bool,
}

impl Bar {
    /// More is better.
    pub(crate) fn at_least(must: f64, aim: impl Into<Option<f64>>) -> Self {
        Self {
            must,
            aim: aim.into(),
            higher_is_better: true,
        }
    }

    /// Less is better.
    pub(crate) fn at_most(must: f64, aim: impl Into<Option<f64>>) -> Self {
        Self {
            must,
            aim: aim.into(),
            higher_is_better: false,
        }
    }

    fn judge(&self, value: f64) -> Verdict {
        let reaches = |bar: f64| {
            if self.higher_is_better {
                value >= bar
            } else {
                value <= bar
            }
        };
        match (reaches(self.must), self.aim.is_some_and(reaches)) {
            (_, true) => Verdict::Aim,
            (true, false) => Verdict::Pass,
            (false, false) => Verdict::Miss,
        }
    }
}

/// Where a figure lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// The aim is reached.
    Aim,
    /// What must be reached is reached.
    Pass,
    /// It is not.
    Miss,
}

/// One scenario's result.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Outcome {
    /// Name of the scenario.
    pub(crate) name: String,
    /// The figure: the median of the samples, unless the scenario pools them.
    pub(crate) value: f64,
    /// What it counts.
    pub(crate) unit: &'static str,
    /// Where the samples lie.
    pub(crate) spread: Spread,
    /// One for each pair or run.
    pub(crate) samples: Vec<f64>,
    /// What it is measured against.
    pub(crate) bar: Option<Bar>,
    /// How it stands to it.
    pub(crate) verdict: Option<Verdict>,
    /// Figures beside the figure.
    pub(crate) details: Vec<String>,
    /// What makes it less trustworthy.
    pub(crate) notes: Vec<String>,
    /// Everything that was counted, for programs.
    pub(crate) runs: serde_json::Value,
}

impl Outcome {
    /// The median of samples.
    ///
    /// # Errors
    /// There are none.
    pub(crate) fn of(name: &str, unit: &'static str, samples: &[f64]) -> anyhow::Result<Self> {
        let spread = Spread::of(samples).context("nothing was measured")?;
        Ok(Self {
            name: name.to_owned(),
            value: spread.median,
            unit,
            spread,
            samples: samples.to_vec(),
            bar: None,
            verdict: None,
            details: Vec::new(),
            notes: Vec::new(),
            runs: serde_json::Value::Null,
        })
    }

    /// Judges the figure.
    pub(crate) fn against(mut self, bar: Option<Bar>) -> Self {
        self.bar = bar;
        self.verdict = bar.map(|bar| bar.judge(self.value));
        self
    }
}

/// All results and what they were taken on.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// The machine.
    pub(crate) machine: Machine,
    /// Core of the server.
    pub(crate) server_core: usize,
    /// Core of the loader.
    pub(crate) loader_core: usize,
    /// What was measured.
    pub(crate) server: String,
    /// Pairs of a comparison.
    pub(crate) pairs: usize,
    /// Length of a run; `None` where it is as long as it takes.
    pub(crate) seconds: Option<f64>,
    /// One for each scenario.
    pub(crate) outcomes: Vec<Outcome>,
}

impl Report {
    /// What makes all figures doubtful, one sentence each.
    fn warnings(&self) -> Vec<&'static str> {
        let cores = Cores {
            server: self.server_core,
            loader: self.loader_core,
        };
        let shared = "server and loader share one core: rates mean nothing";
        let debug = "built without optimisation: rates mean nothing";
        [(cores.shared(), shared), (self.machine.debug_build, debug)]
            .into_iter()
            .filter_map(|(holds, warning)| holds.then_some(warning))
            .collect()
    }
}

/// A rate in thousands, as the tables write it.
pub(crate) fn thousands(rate: f64) -> String {
    format!("{:.1}k", rate / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_below_what_must_be_reached_is_a_miss() {
        let bar = Bar::at_least(0.93, 0.97);
        assert_eq!(bar.judge(0.929), Verdict::Miss);
        assert_eq!(bar.judge(0.93), Verdict::Pass);
        assert_eq!(bar.judge(0.97), Verdict::Aim);
    }

    #[test]
    fn without_an_aim_a_figure_passes_and_no_more() {
        let bar = Bar::at_least(0.93, None);
        assert_eq!(bar.judge(2.0), Verdict::Pass);
        assert_eq!(bar.judge(0.929), Verdict::Miss);
    }

    #[test]
    fn memory_above_what_is_allowed_is_a_miss() {
        let bar = Bar::at_most(2.0, 1.25);
        assert_eq!(bar.judge(2.01), Verdict::Miss);
        assert_eq!(bar.judge(2.0), Verdict::Pass);
        assert_eq!(bar.judge(1.2), Verdict::Aim);
        assert_eq!(bar.judge(f64::NAN), Verdict::Miss);
    }
}
