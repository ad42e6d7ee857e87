//! What is measured, how often, and against which bar.

mod fairness;
mod idle_memory;
mod run;
mod table;
mod throughput;
mod user_time;

use std::time::Duration;

use crate::affinity::Cores;
use crate::report::{Bar, Outcome};
use crate::server::Program;

pub(crate) use table::Named;

/// One thing to measure, with its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// One publisher in a group; deliveries against the limit's.
    FanOut {
        /// Sessions of the group.
        members: usize,
        /// Messages under way.
        in_flight: u64,
    },
    /// Sessions that publish to groups of their own; round trips against the limit's.
    RoundTrip {
        /// Sessions, each with one message under way.
        sessions: usize,
    },
    /// Resident memory of sessions that do nothing.
    IdleMemory {
        /// Sessions, all in one group.
        sessions: usize,
    },
    /// What a group that is written to costs the latency of another session of its thread.
    Fairness {
        /// Sessions of the group.
        members: usize,
    },
    /// Time in user space for one delivery, one message in flight.
    UserTime {
        /// Sessions of the group.
        members: usize,
    },
}

/// With what and how long to measure.
#[derive(Debug, Clone)]
pub(crate) struct Bench {
    /// Where server and loader run.
    pub(crate) cores: Cores,
    /// The server; `None` puts the limit in its place, which must then be as good as itself.
    pub(crate) product: Option<Program>,
    /// Length of one run.
    pub(crate) time: Duration,
    /// Pairs of runs, or runs where nothing is compared.
    pub(crate) pairs: usize,
    /// Tries of a run that others disturb; with 1 it is taken as it comes.
    pub(crate) tries: usize,
    /// Sample with `perf` where the kernel's tick is the coarser alternative.
    pub(crate) perf: bool,
}

impl Bench {
    /// The program under measurement; `coalesce` is for the limit in its place.
    fn product(&self, coalesce: bool) -> Program {
        self.product.clone().unwrap_or(Program::Limit { coalesce })
    }

    /// Runs of a scenario that compares nothing and so needs fewer.
    fn at_most(&self, runs: usize) -> usize {
        self.pairs.clamp(1, runs)
    }
}

impl Scenario {
    /// Measures; progress goes to stderr.
    ///
    /// # Errors
    /// A server does not start or the loader finds a delivery missing, wrong or too many.
    pub(crate) fn measure(&self, name: &str, bench: &Bench) -> anyhow::Result<Outcome> {
        let outcome = match *self {
            Self::FanOut { .. } | Self::RoundTrip { .. } => throughput::compare(self, name, bench),
            Self::IdleMemory { sessions } => idle_memory::measure(name, sessions, bench),
            Self::Fairness { members } => fairness::measure(name, members, bench),
            Self::UserTime { members } => user_time::measure(name, members, bench),
        }?;
        Ok(outcome.against(self.bar()))
    }

    /// What must be reached, where this scenario has the size of one of the table's.
    fn bar(&self) -> Option<Bar> {
        Named::ALL
            .into_iter()
            .find(|named| named.scenario() == *self)
            .map(Named::bar)
    }
}
