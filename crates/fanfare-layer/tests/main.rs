//! The layers as a node sees them: one conformance suite for all, and what only Redis can do.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and clippy takes helpers for production code"
)]

mod conformance;
mod liveness;
mod outage;
mod queues;
mod support;
mod transport;
mod wire;
