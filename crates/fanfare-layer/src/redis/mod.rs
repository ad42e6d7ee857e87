//! Redis pub/sub in the wire format of channels_redis' pub/sub backend.
//!
//! Each host has two connections, one to publish and one to subscribe, kept by a task of its own
//! (`keeper`, `link`). Publishes go through a bounded `pipe` of their host; what arrives from all
//! hosts meets in one bounded `inbox`. The `subscriptions` of a host are a wanted state that
//! survives its connections.

mod backoff;
mod board;
mod host_options;
mod hosts;
mod inbox;
mod keeper;
mod keys;
mod layer;
mod link;
mod pipe;
mod pulse;
mod shard;
mod subscriptions;

use std::sync::Arc;
use std::time::Duration;

use fanfare_protocol::{Naming, NodeId};

pub use hosts::{Host, HostError};
pub use shard::shard;

use crate::{ChannelLayer, LayerMetrics};

/// How to reach Redis.
#[derive(Debug, Clone)]
pub struct PubSubOptions {
    /// Hosts in channels_redis' order: the order decides the shard of a name.
    pub hosts: Vec<Host>,
    /// The layer's prefix.
    pub prefix: String,
    /// This node, for its point-to-point pattern.
    pub node: NodeId,
    /// Publishes in flight over all hosts before [`crate::Publish::Full`]; each host has an equal
    /// share, and at least one. Bodies of 32 MiB together are as full.
    pub publish_in_flight: usize,
    /// Deliveries that wait to be drained from the stream before they are dropped and counted.
    /// Bodies of 64 MiB together are as full.
    pub inbox: usize,
    /// How often the bus is probed end to end, and how long a connection that owes an answer may be
    /// silent before it counts as dead.
    pub probe: Duration,
}

/// Connects in the background and keeps trying: the status tells. Must be called inside a tokio
/// runtime; its tasks live there until [`ChannelLayer::close`] or until it is dropped.
///
/// While a host is down, publishing to names that live on it fails at once, and subscribing waits
/// for its return. The streams end when the layer is closed and they are drained.
pub fn pubsub(options: PubSubOptions, metrics: LayerMetrics) -> Arc<dyn ChannelLayer> {
    Arc::new(layer::PubSubLayer::start(options, metrics))
}

/// The naming that goes with [`pubsub`].
pub fn naming(prefix: &str) -> Naming {
    Naming::pubsub(prefix)
}
