//! Whole applications: consumers, routes and middleware, driven by the testing kit.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and clippy takes helpers for production code"
)]

mod admission;
mod blocked_worker;
mod diagnostics;
mod disconnects;
mod event_groups;
mod examples;
mod examples_guide;
mod examples_run;
mod failures;
mod kit;
mod kit_nodes;
mod kit_plain;
mod panics;
mod sessions;
mod setups;
mod support;
mod turns;
mod upstream_consumers;
mod upstream_daphne;
mod upstream_http;
mod upstream_routing;
mod upstream_security;
mod upstream_table;
mod upstream_testing;
