//! With what a scenario is measured.

use std::time::Duration;

use crate::affinity::Cores;
use crate::server::Program;

/// With what and how long to measure.
#[derive(Debug, Clone)]
pub(crate) struct Bench {
    /// Where server and loader run.
    pub(crate) cores: Cores,
    /// The servers; `None` puts the limit in their place, which must then be as good as itself.
    pub(crate) servers: Option<Servers>,
    /// Length of one run.
    pub(crate) time: Duration,
    /// Pairs of runs, or runs where nothing is compared.
    pub(crate) pairs: usize,
    /// Tries of a run that others disturb; with 1 it is taken as it comes.
    pub(crate) tries: usize,
    /// Sample with `perf` where the kernel's tick is the coarser alternative.
    pub(crate) perf: bool,
}

/// The programs under measurement.
#[derive(Debug, Clone)]
pub(crate) struct Servers {
    /// The binary `fanfare`.
    pub(crate) fanfare: Program,
    /// The program `fanfare-bench-consumers`.
    pub(crate) consumers: Program,
    /// Earlier builds of both, measured in turn with them.
    pub(crate) old: Option<OldServers>,
}

/// Earlier builds of the programs under measurement.
#[derive(Debug, Clone)]
pub(crate) struct OldServers {
    /// The binary `fanfare`.
    pub(crate) fanfare: Program,
    /// The program `fanfare-bench-consumers`.
    pub(crate) consumers: Program,
}

impl Bench {
    /// The product; `coalesce` is for the limit in its place.
    pub(super) fn product(&self, coalesce: bool) -> Program {
        match &self.servers {
            Some(servers) => servers.fanfare.clone(),
            None => Program::Limit { coalesce },
        }
    }

    /// The server of the consumers, or the limit in its place.
    pub(super) fn consumers(&self, coalesce: bool) -> Program {
        match &self.servers {
            Some(servers) => servers.consumers.clone(),
            None => Program::Limit { coalesce },
        }
    }

    /// Earlier builds to measure beside the others.
    pub(super) fn old(&self) -> Option<&OldServers> {
        self.servers.as_ref()?.old.as_ref()
    }

    /// Runs of a scenario that compares nothing and so needs fewer.
    pub(super) fn at_most(&self, runs: usize) -> usize {
        self.pairs.clamp(1, runs)
    }
}
