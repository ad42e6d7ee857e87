//! What is measured, how often, and against which bar.

mod bench;
mod connect;
mod fairness;
mod idle_memory;
mod load;
mod membership_memory;
mod neighbour;
mod run;
mod sides;
mod table;
mod throughput;
mod user_time;

use crate::report::{Bar, Outcome};

pub(crate) use bench::{Bench, OldServers, Servers};
use sides::Sides;
pub(crate) use table::Named;

/// One thing to measure, with its size.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// What clients that send without pause take from another session of their thread.
    Neighbour {
        /// How many of them there are, one run each.
        clients: Vec<u16>,
    },
    /// Time in user space for one delivery, one message in flight.
    UserTime {
        /// Sessions of the group.
        members: usize,
    },
    /// Sessions of a consumer that sends back what it gets; round trips against the configured
    /// route that does.
    ConsumerEcho {
        /// Sessions, each with one message under way.
        sessions: usize,
    },
    /// One publisher in a group of a consumer without `event`; deliveries against a configured
    /// route's.
    ConsumerFrames {
        /// Sessions of the group.
        members: usize,
    },
    /// One publisher in a group of a consumer whose `event` sends text; deliveries against the
    /// limit's, and a configured route's beside.
    ConsumerEvents {
        /// Sessions of the group.
        members: usize,
        /// Messages under way.
        in_flight: u64,
    },
    /// Resident memory of a consumer's sessions that do nothing.
    ConsumerIdle {
        /// Sessions, all in one group.
        sessions: usize,
    },
    /// CPU of the server for opening a session that joins a group, against the limit's.
    Connect {
        /// Sessions, opened and closed in waves.
        sessions: usize,
    },
    /// Resident memory of a route's sessions that have users, on Redis pub/sub.
    UserIdle {
        /// Sessions, each of another user, all in one group.
        sessions: usize,
    },
    /// Resident memory of a membership that a session adds to others.
    Membership {
        /// Sessions, each in the same groups.
        sessions: usize,
    },
}

impl Scenario {
    /// Whether the programs that it needs are there: better known before the first measurement
    /// than after the tenth.
    ///
    /// # Errors
    /// One is missing; the message says how to build it.
    pub(crate) fn check(&self, bench: &Bench) -> anyhow::Result<()> {
        let Some(servers) = &bench.servers else {
            return Ok(());
        };
        servers.fanfare.check()?;
        if let Some(old) = &servers.old {
            old.fanfare.check()?;
            old.consumers.check()?;
        }
        match self {
            Self::ConsumerEcho { .. }
            | Self::ConsumerFrames { .. }
            | Self::ConsumerEvents { .. }
            | Self::ConsumerIdle { .. }
            | Self::UserIdle { .. }
            | Self::Membership { .. } => servers.consumers.check(),
            Self::FanOut { .. }
            | Self::RoundTrip { .. }
            | Self::IdleMemory { .. }
            | Self::Fairness { .. }
            | Self::Neighbour { .. }
            | Self::Connect { .. }
            | Self::UserTime { .. } => Ok(()),
        }
    }

    /// Measures; progress goes to stderr.
    ///
    /// # Errors
    /// A server does not start or the loader finds a delivery missing, wrong or too many.
    pub(crate) fn measure(&self, name: &str, bench: &Bench) -> anyhow::Result<Outcome> {
        let compare = |sides| throughput::compare(name, &sides, bench);
        let outcome = match *self {
            Self::Neighbour { ref clients } => neighbour::measure(name, clients, bench),
            Self::FanOut { members, in_flight } => {
                compare(Sides::fan_out(bench, members, in_flight))
            }
            Self::RoundTrip { sessions } => compare(Sides::round_trip(bench, sessions)),
            Self::IdleMemory { sessions } => idle_memory::measure(name, sessions, bench),
            Self::Fairness { members } => fairness::measure(name, members, bench),
            Self::UserTime { members } => {
                user_time::measure(name, &Sides::fan_out(bench, members, 1), bench)
            }
            Self::ConsumerEcho { sessions } => compare(Sides::consumer_echo(bench, sessions)),
            Self::ConsumerFrames { members } => compare(Sides::consumer_frames(bench, members)),
            Self::ConsumerEvents { members, in_flight } => {
                compare(Sides::consumer_events(bench, members, in_flight))
            }
            Self::ConsumerIdle { sessions } => idle_memory::measure_consumer(name, sessions, bench),
            Self::Connect { sessions } => connect::measure(name, sessions, bench),
            Self::UserIdle { sessions } => idle_memory::measure_users(name, sessions, bench),
            Self::Membership { sessions } => membership_memory::measure(name, sessions, bench),
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
