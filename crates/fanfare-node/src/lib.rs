//! One node: its sessions, registries and bridge, as actix actors, and their supervision.
//!
//! ```text
//! socket -> session -> Inbound (the route) -> Node::publish -> layer
//! layer -> directory -> inbox of every worker with members -> registry -> sockets
//! ```
//!
//! What a layer that subscribes is told of a group is a matter of [`MembershipMode`]: that the node has
//! members, or each of them, whose events then come to their own channels.
//!
//! Sessions are pinned to the worker thread that accepted them. A worker owns a slot table, a
//! roster of groups and an inbox, all outside of its actors: an actor that panics is rebuilt and
//! finds them where they were. This crate knows no HTTP, no configuration and no listener; it is
//! the only one with `unsafe`, in `fd.rs`.

mod addresses;
mod bridge;
mod closing;
mod control;
mod directory;
mod enrolled;
mod error;
mod fan_out;
#[cfg(feature = "fault")]
pub mod fault;
mod identity;
mod machine;
mod metrics;
mod node;
mod options;
mod receive;
mod session;
mod start;
mod supervise;
mod worker;

pub use addresses::{Budgets, Network};
pub use closing::LayerGuard;
pub use control::{ClusterCount, ClusterSession, FindError};
pub use enrolled::Enrolled;
pub use error::{AdmitError, JoinError};
pub use fan_out::{Arrived, DeliveryMode, Input, SharedEvent, SubscribeOptions};
pub use identity::Identity;
pub use node::Node;
pub use options::{Limits, MembershipMode, NodeOptions, PingOptions, RateLimits, memory_limit};
pub use session::{
    Admission, Handling, Inbound, Link, Mailbox, PendingGroups, Program, SessionContext, Socket,
    Step, Ticket,
};
pub use worker::{Pending, Turn, TurnNumber, WorkerThread, wake_after_look};
