//! What the servers have of this node: its memberships, and its signs of life.

mod departed;
pub(super) mod heartbeat;
pub(super) mod reaper;
pub(super) mod store;
