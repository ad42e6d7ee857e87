//! A node among Python processes on `channels_redis`: what a Python producer pays to reach its
//! sessions, and how fast it takes in what Python sends.
//!
//! ```text
//! producer.py --\                        /--> fanfare --> sessions of the loader
//!                >-- a private Redis ---<
//! producer.py --/                        \--> consumer.py
//! ```
//! All packing, sending and receiving of Python is that of the unmodified package. The consumers
//! under measurement, nodes or Python processes, have the server's core; Redis, the loader and the
//! producers have the other.

mod backlog;
mod intake;
mod node;
mod producer;
mod python;
mod sides;

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use crate::affinity::Cores;
use crate::proc::cpu::wait_for_idle;
use crate::report::{Bar, Outcome};

/// The route's parameter, and the group of it that everybody is in.
const PATH: &str = "/ws/chat/bench/";
const GROUP: &str = "chat_bench";

/// Nobody has heard anything for this long: the run has failed.
const STALL: Duration = Duration::from_secs(10);

/// One thing to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Line {
    /// What a `group_send` to a crowd of sessions costs its Python producer, core format.
    Producer,
    /// How many events a second one node takes in from Python, core format.
    IntakeCore,
    /// The same, pub/sub format.
    IntakePubsub,
}

impl Line {
    /// All of them, as they are measured by default.
    pub(crate) const ALL: [Self; 3] = [Self::Producer, Self::IntakeCore, Self::IntakePubsub];
}

/// With what and how much to measure.
#[derive(Debug)]
pub(crate) struct Bench {
    /// Where consumers run, and where everybody else.
    pub(crate) cores: Cores,
    /// The binary `fanfare`.
    pub(crate) server: PathBuf,
    /// A Python with `channels_redis`.
    pub(crate) python: PathBuf,
    /// Where the scripts are.
    pub(crate) scripts: PathBuf,
    /// Pairs of runs: a node or three of them, and Python.
    pub(crate) pairs: usize,
    /// Sessions, and members in Python, of the crowd.
    pub(crate) sessions: usize,
    /// Events that the crowd is sent in one run.
    pub(crate) sends: usize,
    /// Events of one run of intake.
    pub(crate) events: usize,
    /// Measure on a machine that does other things too.
    pub(crate) quick: bool,
}

impl Bench {
    fn wait_for_idle(&self) -> anyhow::Result<()> {
        if self.quick {
            return Ok(());
        }
        wait_for_idle(self.cores)
    }
}

/// Measures one line; progress goes to stderr.
///
/// # Errors
/// A process does not start or ends, or an event is lost, doubled or wrong.
pub(crate) fn measure(line: Line, bench: &Bench) -> anyhow::Result<Outcome> {
    let (outcome, bar) = match line {
        Line::Producer => (producer::measure(bench)?, Bar::at_most(2.0, None)),
        Line::IntakeCore => (
            intake::measure("channels-intake-core", sides::Backend::Core, bench)?,
            Bar::at_least(10.0, None),
        ),
        Line::IntakePubsub => (
            intake::measure("channels-intake-pubsub", sides::Backend::Pubsub, bench)?,
            Bar::at_least(10.0, None),
        ),
    };
    Ok(outcome.against(Some(bar)))
}
