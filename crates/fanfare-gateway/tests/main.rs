//! The gateway over real sockets: handshakes, refusals, listeners.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

mod gateway;
