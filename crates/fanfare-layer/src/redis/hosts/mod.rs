//! Redis servers: how a configuration writes them, and which of them a name lives on.

pub(super) mod host;
mod notation;
mod reading;
pub(super) mod role;
mod sentinel;
pub(super) mod shard;
mod shown;
mod tls;
#[cfg(all(test, feature = "redis-tests"))]
mod upstream_tests;
mod url;
