//! The load generator: one thread, one epoll set, whole bursts in one read.
//!
//! It counts bytes and parses nothing while it measures: every delivery of a run is the same frame,
//! so the bytes that a session has received say how many it got. That the frames are the right ones
//! is checked byte for byte before the measurement, that none is missing or too many after it.

mod connect;
mod fan_out;
mod listener;
mod neighbour;
pub(crate) mod payload;
mod probe;
mod round_trip;
mod sessions;

#[cfg(test)]
mod misbehaving;

use std::time::Duration;

pub(crate) use connect::{connect_all, open_and_close};
pub(crate) use fan_out::{FanOut, Plan};
pub(crate) use listener::Listener;
pub(crate) use neighbour::{Neighbour, Neighbourhood};
pub(crate) use probe::{Flood, Probe};
pub(crate) use round_trip::RoundTrip;

/// How long the loader waits for bytes that are due before it gives a run up.
pub(crate) const STALL_LIMIT: Duration = Duration::from_secs(10);

/// How long it listens, after a run, for deliveries that nobody asked for.
const SURPLUS_WAIT: Duration = Duration::from_millis(20);

/// What a run published and what came back, both counted by the loader.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub(crate) struct Tally {
    /// Messages written.
    pub(crate) published: u64,
    /// Frames received by all sessions together.
    pub(crate) delivered: u64,
    /// Seconds from the first message to the last delivery.
    pub(crate) took_s: f64,
}
