//! Tests of parts of the core format that need a Redis server. They are units of the library, which
//! see what a layer does not show, and run with the feature `redis-tests`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and clippy takes helpers for production code"
)]

mod channels;
mod commands;
mod lanes;
mod process;
mod send;
mod store;
