//! Redis servers: how a configuration writes them, and which of them a name lives on.

pub(super) mod host;
mod notation;
mod reading;
mod sentinel;
pub(super) mod shard;
