//! What each scenario compares with what.

use super::Bench;
use super::load::{CHAT, ECHO, EVENTS, FRAMES, Load, Side, own_groups, same};
use crate::server::Program;

const OF_LIMIT: &str = "of the limit";
const OF_ROUTE: &str = "of the route";

/// The sides of a comparison.
#[derive(Debug)]
pub(super) struct Sides {
    /// Under measurement.
    pub(super) product: Side,
    /// What the figure is a ratio to.
    pub(super) baseline: Side,
    /// Measured in turn with them, for the report only.
    pub(super) beside: Vec<Side>,
    /// The unit of the ratio.
    pub(super) unit: &'static str,
}

impl Sides {
    /// One publisher in a group: the product against the limit.
    pub(super) fn fan_out(bench: &Bench, members: usize, in_flight: u64) -> Self {
        against_limit(bench, fan_out(CHAT, members, in_flight))
    }

    /// Sessions that publish to themselves: the product against the limit.
    pub(super) fn round_trip(bench: &Bench, sessions: usize) -> Self {
        against_limit(bench, Load::RoundTrip(own_groups(sessions)))
    }

    /// Sessions that open and close: the product against the limit.
    pub(super) fn connect(bench: &Bench, sessions: usize) -> Self {
        against_limit(bench, Load::Connect(own_groups(sessions)))
    }

    /// Sessions that get back what they send: a consumer against the product's echo route.
    pub(super) fn consumer_echo(bench: &Bench, sessions: usize) -> Self {
        let load = || Load::RoundTrip(same(ECHO, sessions));
        against_route(bench, load(), load())
    }

    /// One publisher in a group: a consumer without `event` against the product's chat route.
    pub(super) fn consumer_frames(bench: &Bench, members: usize) -> Self {
        let load = |path| fan_out(path, members, 1);
        against_route(bench, load(FRAMES), load(CHAT))
    }

    /// One publisher in a group: a consumer with `event` against the limit, and the product's chat
    /// route beside them.
    pub(super) fn consumer_events(bench: &Bench, members: usize, in_flight: u64) -> Self {
        let load = |path| fan_out(path, members, in_flight);
        Self {
            product: consumer(bench, load(EVENTS)),
            baseline: limit(load(CHAT)),
            beside: [product(bench, load(CHAT))]
                .into_iter()
                .chain(old_consumer(bench, load(EVENTS)))
                .collect(),
            unit: OF_LIMIT,
        }
    }
}

fn against_limit(bench: &Bench, load: Load) -> Sides {
    Sides {
        product: product(bench, load.clone()),
        beside: old_product(bench, load.clone()).into_iter().collect(),
        baseline: limit(load),
        unit: OF_LIMIT,
    }
}

fn against_route(bench: &Bench, of_consumer: Load, of_route: Load) -> Sides {
    Sides {
        beside: old_consumer(bench, of_consumer.clone())
            .into_iter()
            .collect(),
        product: consumer(bench, of_consumer),
        baseline: product(bench, of_route),
        unit: OF_ROUTE,
    }
}

fn product(bench: &Bench, load: Load) -> Side {
    let program = bench.product(load.is_burst());
    Side { program, load }
}

fn consumer(bench: &Bench, load: Load) -> Side {
    let program = bench.consumers(load.is_burst());
    Side { program, load }
}

fn old_product(bench: &Bench, load: Load) -> Option<Side> {
    let program = bench.old()?.fanfare.clone();
    Some(Side { program, load })
}

fn old_consumer(bench: &Bench, load: Load) -> Option<Side> {
    let program = bench.old()?.consumers.clone();
    Some(Side { program, load })
}

fn limit(load: Load) -> Side {
    let coalesce = load.is_burst();
    let program = Program::Limit { coalesce };
    Side { program, load }
}

fn fan_out(path: &'static str, members: usize, in_flight: u64) -> Load {
    Load::FanOut {
        path,
        members,
        in_flight,
    }
}

impl Load {
    /// Whether more than one message is under way: the limit coalesces then.
    fn is_burst(&self) -> bool {
        matches!(self, Self::FanOut { in_flight: 2.., .. })
    }
}
