//! The layers as a node sees them: one conformance suite for all, and what only Redis can do.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and clippy takes helpers for production code"
)]

mod clusters;
mod conformance;
mod control;
mod core_added_sessions;
mod core_faults;
mod core_intake;
mod core_members;
mod core_nodes;
mod core_recovery;
mod core_send;
mod failover;
mod formats;
mod leases;
mod liveness;
mod outage;
mod queues;
mod sentinel;
mod servers;
mod support;
mod transport;
mod upstream_core;
mod upstream_formats;
mod upstream_table;
mod wire;
