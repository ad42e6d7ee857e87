//! Keeping servers connected, whatever is said to them.

mod backoff;
pub(super) mod pulse;
mod status;
pub(super) mod subscriptions;
pub(super) mod supervisor;
pub(super) mod supervisors;
