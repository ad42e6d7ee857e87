//! The scenarios that have a bar.

use clap::ValueEnum;

use super::Scenario;
use crate::report::Bar;

/// A scenario with a name, a size and a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Named {
    /// 1000 members, one message in flight, against the limit.
    #[value(name = "fan-out-1000")]
    FanOut1000,
    /// 5000 members, one message in flight, against the limit.
    #[value(name = "fan-out-5000")]
    FanOut5000,
    /// 1000 members, 64 messages in flight, against a limit that coalesces.
    #[value(name = "burst-64")]
    Burst64,
    /// User-space time of a delivery to one of 1000 members.
    UserTime,
    /// Resident memory of each of 10,000 sessions in one group.
    IdleMemory,
    /// 100 sessions publishing to themselves, against the limit.
    RoundTrip,
    /// Delay of an echo while a group of 10,000 is written to.
    Fairness,
    /// 100 sessions of a consumer that echoes, against the configured route that does.
    ConsumerEcho,
    /// 1000 members, one message in flight, a consumer without `event`, against a configured route.
    ConsumerFrames,
    /// 1000 members, one message in flight, a consumer with `event`, against the limit.
    #[value(name = "consumer-events-1")]
    ConsumerEvents1,
    /// 1000 members, 64 messages in flight, a consumer with `event`, against a limit that coalesces.
    #[value(name = "consumer-events-64")]
    ConsumerEvents64,
    /// Resident memory of each of 10,000 sessions of an empty consumer in one group.
    ConsumerIdle,
    /// Server CPU for opening one of 2,000 sessions with a group, against the limit.
    Connect,
    /// Resident memory of each of 10,000 sessions that have users, on Redis pub/sub.
    UserIdle,
    /// Resident memory of each of 50 memberships of 2,000 sessions.
    Membership,
    /// Echo of a session beside 1, 4 and 100 clients of each kind that send without pause.
    Neighbour,
}

impl Named {
    /// All of them, in the order of the report.
    pub(crate) const ALL: [Self; 16] = [
        Self::FanOut1000,
        Self::FanOut5000,
        Self::Burst64,
        Self::UserTime,
        Self::IdleMemory,
        Self::RoundTrip,
        Self::Fairness,
        Self::ConsumerEcho,
        Self::ConsumerFrames,
        Self::ConsumerEvents1,
        Self::ConsumerEvents64,
        Self::ConsumerIdle,
        Self::Connect,
        Self::UserIdle,
        Self::Membership,
        Self::Neighbour,
    ];

    /// Those of the consumers.
    pub(crate) const CONSUMERS: [Self; 7] = [
        Self::ConsumerEcho,
        Self::ConsumerFrames,
        Self::ConsumerEvents1,
        Self::ConsumerEvents64,
        Self::ConsumerIdle,
        Self::UserIdle,
        Self::Membership,
    ];

    /// The name on the command line and in the report.
    pub(crate) fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// What it measures.
    pub(crate) fn scenario(self) -> Scenario {
        match self {
            Self::FanOut1000 => Scenario::FanOut {
                members: 1000,
                in_flight: 1,
            },
            Self::FanOut5000 => Scenario::FanOut {
                members: 5000,
                in_flight: 1,
            },
            Self::Burst64 => Scenario::FanOut {
                members: 1000,
                in_flight: 64,
            },
            Self::UserTime => Scenario::UserTime { members: 1000 },
            Self::IdleMemory => Scenario::IdleMemory { sessions: 10_000 },
            Self::RoundTrip => Scenario::RoundTrip { sessions: 100 },
            Self::Fairness => Scenario::Fairness { members: 10_000 },
            Self::ConsumerEcho => Scenario::ConsumerEcho { sessions: 100 },
            Self::ConsumerFrames => Scenario::ConsumerFrames { members: 1000 },
            Self::ConsumerEvents1 => Scenario::ConsumerEvents {
                members: 1000,
                in_flight: 1,
            },
            Self::ConsumerEvents64 => Scenario::ConsumerEvents {
                members: 1000,
                in_flight: 64,
            },
            Self::ConsumerIdle => Scenario::ConsumerIdle { sessions: 10_000 },
            Self::Connect => Scenario::Connect { sessions: 2000 },
            Self::UserIdle => Scenario::UserIdle { sessions: 10_000 },
            Self::Membership => Scenario::Membership { sessions: 2000 },
            Self::Neighbour => Scenario::Neighbour {
                clients: vec![1, 4, 100],
            },
        }
    }

    /// What it must reach.
    pub(crate) fn bar(self) -> Bar {
        match self {
            Self::FanOut1000 => Bar::at_least(0.93, 0.97),
            Self::FanOut5000 => Bar::at_least(0.90, 0.95),
            Self::Burst64 => Bar::at_least(0.85, 1.0),
            Self::UserTime => Bar::at_most(0.3, 0.1),
            Self::IdleMemory => Bar::at_most(1.3, 1.2),
            Self::RoundTrip => Bar::at_least(0.85, 0.90),
            Self::Fairness => Bar::at_most(5.0, 3.0),
            Self::ConsumerEcho => Bar::at_least(0.85, None),
            Self::ConsumerFrames => Bar::at_least(0.97, None),
            Self::ConsumerEvents1 => Bar::at_least(0.85, 0.90),
            Self::ConsumerEvents64 => Bar::at_least(0.55, 0.75),
            Self::ConsumerIdle => Bar::at_most(2.3, None),
            Self::Connect => Bar::at_most(2.2, 1.9),
            Self::UserIdle => Bar::at_most(1.9, 1.7),
            Self::Membership => Bar::at_most(64.0, 48.0),
            Self::Neighbour => Bar::at_most(1.0, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<String> =
            Named::ALL.into_iter().map(Named::name).collect();
        assert_eq!(names.len(), Named::ALL.len());
        assert!(
            names.contains("user-time") && names.contains("burst-64"),
            "{names:?}"
        );
    }
}
