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

mod admission;
mod batch;
mod bridge;
mod directory;
mod draining;
#[cfg(feature = "fault")]
pub mod fault;
mod fd;
mod flusher;
mod inbox;
mod lane;
mod mail;
mod member;
mod members;
mod metrics;
mod node;
mod outbox;
mod outlet;
mod port;
mod program;
mod queue;
mod registry;
mod roster;
mod session;
mod slots;
mod socket;
mod subscriptions;
mod supervise;
mod tally;
mod wheel;
mod worker;

pub use admission::{Admission, AdmitError, Handling, Ticket};
pub use mail::SharedEvent;
pub use member::{Arrived, Enrolled, JoinError};
pub use members::MembershipMode;
pub use node::{Limits, Node, NodeOptions, PingOptions};
pub use outlet::DeliveryMode;
pub use port::{Input, Mailbox, Program};
pub use session::{Inbound, SessionContext, Step};
pub use socket::{Link, Socket};
pub use worker::WorkerThread;
