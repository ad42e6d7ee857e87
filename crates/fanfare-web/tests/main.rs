//! Middleware and client addresses from outside.
#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

mod middleware;
