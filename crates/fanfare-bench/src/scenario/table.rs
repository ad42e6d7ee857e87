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
}

impl Named {
    /// All of them, in the order of the report.
    pub(crate) const ALL: [Self; 7] = [
        Self::FanOut1000,
        Self::FanOut5000,
        Self::Burst64,
        Self::UserTime,
        Self::IdleMemory,
        Self::RoundTrip,
        Self::Fairness,
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
        }
    }

    /// What it must reach.
    pub(crate) fn bar(self) -> Bar {
        match self {
            Self::FanOut1000 => Bar::at_least(0.93, 0.97),
            Self::FanOut5000 => Bar::at_least(0.90, 0.95),
            Self::Burst64 => Bar::at_least(0.80, 1.0),
            Self::UserTime => Bar::at_most(0.3, 0.1),
            Self::IdleMemory => Bar::at_most(2.0, 1.25),
            Self::RoundTrip => Bar::at_least(0.75, 0.85),
            Self::Fairness => Bar::at_most(5.0, 3.0),
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
