//! The connections to one server.

pub(super) mod blocking;
pub(super) mod commands;
pub(super) mod popped;
