//! The command line.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::affinity::Cores;
use crate::attack;
use crate::channels::{self, Line};
use crate::scenario::{Bench, Named, OldServers, Scenario, Servers};
use crate::server::{Program, beside};

/// Measures a Fanfare server per second of its CPU, against a bare epoll loop.
#[derive(Debug, Parser)]
#[command(name = "fanfare-bench", version)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve as the limit: a bare epoll loop that does the same deliveries.
    Limit {
        /// Where to listen; port 0 takes a free one.
        #[arg(long, default_value = "127.0.0.1:0")]
        bind: SocketAddr,
        /// Deliver all messages of one read in one write for each member.
        #[arg(long)]
        coalesce: bool,
    },
    /// Measure every scenario that has a bar, or those that are named.
    #[command(visible_alias = "all")]
    Compare {
        /// Only this scenario; may be repeated.
        #[arg(long = "scenario", value_enum)]
        scenarios: Vec<Named>,
        #[command(flatten)]
        options: Options,
    },
    /// Measure the scenarios of the consumers, which `compare` has too.
    Consumers {
        #[command(flatten)]
        options: Options,
    },
    /// Deliveries to a group of any size.
    FanOut {
        /// Sessions of the group.
        #[arg(long, default_value_t = 1000)]
        members: usize,
        /// Messages under way; more than one is compared with a limit that coalesces.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
        in_flight: u64,
        #[command(flatten)]
        options: Options,
    },
    /// Publish to one's own group and back.
    RoundTrip {
        /// Sessions, each with one message under way.
        #[arg(long, default_value_t = 100)]
        sessions: usize,
        #[command(flatten)]
        options: Options,
    },
    /// Resident memory of sessions that do nothing.
    IdleMemory {
        /// Sessions, all in one group.
        #[arg(long, default_value_t = 10_000)]
        sessions: usize,
        #[command(flatten)]
        options: Options,
    },
    /// Delay of another session while a group is written to.
    Fairness {
        /// Sessions of the group.
        #[arg(long, default_value_t = 10_000)]
        members: usize,
        #[command(flatten)]
        options: Options,
    },
    /// Latency of a session beside clients that send without pause.
    Neighbour {
        /// How many of them there are; may be repeated.
        #[arg(long, default_values_t = [1, 4, 100], value_parser = clap::value_parser!(u16).range(1..=1000))]
        clients: Vec<u16>,
        #[command(flatten)]
        options: Options,
    },
    /// Send without pause, as `neighbour` has it done.
    #[command(hide = true)]
    Attack {
        #[command(flatten)]
        plan: attack::Plan,
    },
    /// Server CPU for opening a session with a group.
    Connect {
        /// Sessions, opened and closed in waves of 250.
        #[arg(long, default_value_t = 2000)]
        sessions: usize,
        #[command(flatten)]
        options: Options,
    },
    /// A node among Python processes on channels_redis: what their producers pay, what it takes in.
    Channels {
        #[command(flatten)]
        options: ChannelsOptions,
    },
    /// User-space time of one delivery.
    UserTime {
        /// Sessions of the group.
        #[arg(long, default_value_t = 1000)]
        members: usize,
        #[command(flatten)]
        options: Options,
    },
}

/// What all measurements share.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The server's binary; by default `fanfare` beside this program.
    #[arg(long)]
    server: Option<PathBuf>,
    /// The server of the consumers; by default `fanfare-bench-consumers` beside `--server`.
    #[arg(long)]
    consumers: Option<PathBuf>,
    /// An earlier build of `fanfare`, with its `fanfare-bench-consumers` beside it: each pair has a
    /// run of it too, and the report the ratio to it.
    #[arg(long, conflicts_with = "server_kind")]
    old: Option<PathBuf>,
    /// What to measure; `limit` measures the limit against itself, which must give 1.0.
    #[arg(long, value_enum, default_value_t = Kind::Fanfare)]
    server_kind: Kind,
    /// Pairs of runs of a comparison.
    #[arg(long, default_value_t = 11)]
    pairs: usize,
    /// Tries of a run that other processes disturb; with 1 it is taken as it comes.
    #[arg(long, default_value_t = 3)]
    tries: usize,
    /// Length of one run.
    #[arg(long, default_value_t = 1.5, value_parser = seconds)]
    seconds: f64,
    /// Sample user time with perf instead of the kernel's tick.
    #[arg(long)]
    perf: bool,
    /// Print JSON instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What the measurements with Python take.
#[derive(Debug, Args)]
pub(crate) struct ChannelsOptions {
    /// Only this line; may be repeated.
    #[arg(long = "line", value_enum)]
    lines: Vec<Line>,
    /// The server's binary; by default `fanfare` beside this program.
    #[arg(long)]
    server: Option<PathBuf>,
    /// A Python with channels_redis; by default that of `cargo xtask setup`.
    #[arg(long)]
    python: Option<PathBuf>,
    /// Pairs of runs.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=50))]
    pairs: u64,
    /// Sessions on three nodes, and as many members in Python.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(3..=15_000))]
    sessions: u64,
    /// Events of one run to the sessions.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    sends: u64,
    /// Events that wait for one run of intake; more would not fit into the node's inbox at once.
    #[arg(long, default_value_t = 40_000, value_parser = clap::value_parser!(u64).range(2..=60_000))]
    events: u64,
    /// One pair of a tenth of the size, however busy the machine is: whether it works.
    #[arg(long)]
    quick: bool,
    /// Print JSON instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

impl ChannelsOptions {
    /// What to measure.
    pub(crate) fn lines(&self) -> Vec<Line> {
        match self.lines.as_slice() {
            [] => Line::ALL.to_vec(),
            some => some.to_vec(),
        }
    }

    /// What to measure with.
    ///
    /// # Errors
    /// The cores or the server's path cannot be found.
    pub(crate) fn bench(&self) -> anyhow::Result<channels::Bench> {
        let size = |full: u64| if self.quick { (full / 10).max(3) } else { full } as usize;
        Ok(channels::Bench {
            cores: Cores::choose()?,
            server: match &self.server {
                Some(path) => path.clone(),
                None => beside("fanfare")?,
            },
            python: match &self.python {
                Some(path) => path.clone(),
                None => project().join(".venv/bin/python"),
            },
            scripts: project().join("benches/python"),
            pairs: if self.quick { 1 } else { self.pairs as usize },
            sessions: size(self.sessions),
            sends: size(self.sends),
            events: size(self.events),
            quick: self.quick,
        })
    }
}

/// The project that this program was built from.
fn project() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap_or(manifest)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// The product.
    Fanfare,
    /// The limit in its place.
    Limit,
}

impl Options {
    /// What to measure with.
    ///
    /// # Errors
    /// The cores or the server's path cannot be found.
    pub(crate) fn bench(&self) -> anyhow::Result<Bench> {
        let servers = match self.server_kind {
            Kind::Limit => None,
            Kind::Fanfare => Some(self.servers()?),
        };
        Ok(Bench {
            cores: Cores::choose()?,
            servers,
            time: Duration::from_secs_f64(self.seconds),
            pairs: self.pairs,
            tries: self.tries,
            perf: self.perf,
        })
    }

    fn servers(&self) -> anyhow::Result<Servers> {
        let fanfare = match &self.server {
            Some(path) => path.clone(),
            None => beside("fanfare")?,
        };
        let consumers = match &self.consumers {
            Some(path) => path.clone(),
            None => fanfare.with_file_name("fanfare-bench-consumers"),
        };
        Ok(Servers {
            fanfare: Program::Fanfare(fanfare),
            consumers: Program::Consumers(consumers),
            old: self.old.as_deref().map(old_servers),
        })
    }
}

fn old_servers(fanfare: &Path) -> OldServers {
    let consumers = fanfare.with_file_name("fanfare-bench-consumers");
    OldServers {
        fanfare: Program::Old(Box::new(Program::Fanfare(fanfare.to_path_buf()))),
        consumers: Program::Old(Box::new(Program::Consumers(consumers))),
    }
}

impl Command {
    /// The scenarios to measure with their names; none for the limit and for `channels`.
    pub(crate) fn scenarios(&self) -> Vec<(String, Scenario)> {
        let one = |name: &str, scenario| vec![(name.to_owned(), scenario)];
        match *self {
            Self::Limit { .. } | Self::Channels { .. } | Self::Attack { .. } => Vec::new(),
            Self::Compare { ref scenarios, .. } if scenarios.is_empty() => table(&Named::ALL),
            Self::Compare { ref scenarios, .. } => table(scenarios),
            Self::Consumers { .. } => table(&Named::CONSUMERS),
            Self::FanOut {
                members, in_flight, ..
            } => one("fan-out", Scenario::FanOut { members, in_flight }),
            Self::RoundTrip { sessions, .. } => one("round-trip", Scenario::RoundTrip { sessions }),
            Self::IdleMemory { sessions, .. } => {
                one("idle-memory", Scenario::IdleMemory { sessions })
            }
            Self::Connect { sessions, .. } => one("connect", Scenario::Connect { sessions }),
            Self::Fairness { members, .. } => one("fairness", Scenario::Fairness { members }),
            Self::Neighbour { ref clients, .. } => {
                let clients = clients.clone();
                one("neighbour", Scenario::Neighbour { clients })
            }
            Self::UserTime { members, .. } => one("user-time", Scenario::UserTime { members }),
        }
    }
}

fn table(named: &[Named]) -> Vec<(String, Scenario)> {
    let row = |named: &Named| (named.name(), named.scenario());
    named.iter().map(row).collect()
}

/// Longest run: a bound on the whole, and the sessions' timers stay out of it.
const MAX_SECONDS: f64 = 60.0;

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= MAX_SECONDS => Ok(seconds),
        _ => Err(format!("a number of seconds up to {MAX_SECONDS} is needed")),
    }
}
