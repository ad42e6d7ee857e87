//! A program under a load: what one run of either side of a comparison does.

use std::time::Duration;

use super::Bench;
use super::run::{Run, observe};
use crate::loader::{FanOut, Plan, RoundTrip, STALL_LIMIT, connect_all, open_and_close};
use crate::server::{Program, Server};

/// The shipped route: what a member sends is published to all members.
pub(super) const CHAT: &str = "/ws/chat/bench/";
/// Answers with what it gets, in `fanfare` and in `fanfare-bench-consumers`.
pub(super) const ECHO: &str = "/ws/echo";
/// Of `fanfare-bench-consumers`: as the shipped route, through a consumer without `event`.
pub(super) const FRAMES: &str = "/frames/bench";
/// The same through a consumer with an `event` that sends text.
pub(super) const EVENTS: &str = "/events/bench";
/// The same as `EVENTS`.
pub(super) const IDLE: &str = "/idle/bench";
/// A group of sessions that have the user of their query.
pub(super) const USERS: &str = "/users/bench";
/// A consumer that joins as many groups as the path says behind it, one by one.
pub(super) const MANY: &str = "/many";

const WARM_UP: Duration = Duration::from_millis(200);
/// A bound on what the fastest server publishes in the longest run.
const MESSAGES: u64 = 5_000_000;

/// A program and what is done to it.
#[derive(Debug, Clone)]
pub(super) struct Side {
    /// What serves.
    pub(super) program: Program,
    /// Under which load.
    pub(super) load: Load,
}

/// What the loader does.
#[derive(Debug, Clone)]
pub(super) enum Load {
    /// One of the sessions of a path publishes to all of them.
    FanOut {
        /// The path of all.
        path: &'static str,
        /// How many.
        members: usize,
        /// Messages under way.
        in_flight: u64,
    },
    /// Each session sends and waits for its own message, at one of these paths.
    RoundTrip(Vec<String>),
    /// Each session is opened and closed, at one of these paths.
    Connect(Vec<String>),
}

impl Side {
    /// Starts the program, opens the sessions, warms up and measures.
    ///
    /// # Errors
    /// The program does not start, or a delivery is missing, wrong or too many.
    pub(super) fn run(&self, bench: &Bench, perf: bool) -> anyhow::Result<Run> {
        let server = Server::start(&self.program, bench.cores)?;
        match &self.load {
            Load::RoundTrip(paths) => {
                let mut trips = RoundTrip::new(connect_all(server.addr(), paths)?)?;
                trips.check()?;
                trips.run(&plan(1, WARM_UP))?;
                observe(&server, bench, perf, || trips.run(&plan(1, bench.time)))
            }
            Load::Connect(paths) => {
                open_and_close(server.addr(), paths)?;
                observe(&server, bench, perf, || {
                    open_and_close(server.addr(), paths)
                })
            }
            &Load::FanOut {
                path,
                members,
                in_flight,
            } => {
                let mut group = FanOut::new(connect_all(server.addr(), &same(path, members))?)?;
                group.check()?;
                group.run(&plan(in_flight, WARM_UP))?;
                observe(&server, bench, perf, || {
                    group.run(&plan(in_flight, bench.time))
                })
            }
        }
    }
}

/// A plan for one run of `time`.
pub(super) fn plan(in_flight: u64, time: Duration) -> Plan {
    Plan {
        in_flight,
        time,
        messages: MESSAGES,
        stall: STALL_LIMIT,
    }
}

/// `count` sessions at one path.
pub(super) fn same(path: &str, count: usize) -> Vec<String> {
    vec![path.to_owned(); count]
}

/// `count` sessions of the chat route, each in a group of its own.
pub(super) fn own_groups(count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("/ws/chat/bench{number}/"))
        .collect()
}
