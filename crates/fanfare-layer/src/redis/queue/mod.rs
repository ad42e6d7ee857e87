//! The bounded queues between the node and Redis.

pub(super) mod incoming;
pub(super) mod outgoing;
