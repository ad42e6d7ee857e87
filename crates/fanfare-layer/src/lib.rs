//! The channel layer: the seam between "publish" and "deliver".
//!
//! A layer takes an [`Envelope`](fanfare_protocol::Envelope) for a
//! [`Target`](fanfare_protocol::Target) and brings it to every node that has members: the memory
//! layer at once, on the publisher's thread, into a [`Sink`]; the Redis layer through Redis and
//! back out of [`ChannelLayer::stream`]. What is for a normal channel, the address of workers,
//! waits for them in a [`ChannelQueue`]. All that waits on a node draws
//! from one [`MemoryBudget`]. Nodes send each other commands over a
//! [`ControlChannel`], and one node at a time holds a lease of the [`LeaseStore`]. This crate knows no actix, no sockets and no sessions;
//! what a delivery means is the sink's business.

mod budget;
mod close_events;
mod control;
mod layer;
mod lease;
mod memory;
mod metrics;
mod pattern;
mod publish;
mod queue;
#[cfg(feature = "redis")]
pub mod redis;
mod rules;
mod sink;
mod throttle;

pub use budget::{Account, Charge, MemoryBudget, MemoryUse, Shed};
pub use close_events::CloseEvents;
pub use control::{
    ControlChannel, ControlError, ControlHandler, ControlReplies, ControlTarget, MAX_CONTROL_BYTES,
};
pub use layer::{ChannelLayer, State, Status, SubscribeError, Subscription};
pub use lease::{Claimed, LeaseError, LeaseStore, LeaseToken};
pub use memory::{MemoryBus, MemoryLayer};
pub use metrics::{LayerMetrics, Metrics};
pub use pattern::PatternError;
pub use publish::{Publish, PublishError};
pub use queue::{ChannelQueue, LostMessages, QueueOptions, Receiver};
pub use rules::{GroupRule, GroupRules};
pub use sink::{ChannelFull, Delivery, Full, Sink, Undelivered};
pub use throttle::Throttle;
