//! Redis, in the two wire formats of channels_redis.
//!
//! - `hosts`: how a Redis server is written in a configuration, and which of them a name lives on;
//! - `connection`: one task keeps one server connected, and the subscriptions there, which survive
//!   a connection;
//! - `control`: commands between nodes, the same in both formats;
//! - `leases`: claims that one node at a time holds, the same in both formats;
//! - `queue`: bounded queues of publishes on their way to Redis and of messages that arrived;
//! - `pubsub`, `core`: what each format does with a server.

mod connection;
mod control;
mod core;
mod hosts;
mod leases;
mod options;
mod pubsub;
mod queue;

use std::sync::Arc;

pub use hosts::host::{Host, HostError};
pub use hosts::shard::shard;
pub use options::capacities::Capacities;
pub use options::core::CoreOptions;
pub use options::{Format, RedisOptions, RedisPace};

use self::core::layer::CoreLayer;
use pubsub::layer::PubSubLayer;

use crate::{ChannelLayer, LayerMetrics};

/// Connects in the background and keeps trying: the status tells. Must be called inside a tokio
/// runtime; its tasks live there until [`ChannelLayer::close`] or until it is dropped.
///
/// While a host is down, publishing to names that live on it fails at once, and subscribing waits
/// for its return. The streams end when the layer is closed and they are drained. Options of hosts
/// that have no effect are named in one warning.
pub fn connect(options: RedisOptions, metrics: LayerMetrics) -> Arc<dyn ChannelLayer> {
    hosts::host::tell_ignored(&options.hosts);
    match options.format.clone() {
        Format::PubSub(serializer) => Arc::new(PubSubLayer::start(options, serializer, metrics)),
        Format::Core(core) => Arc::new(CoreLayer::start(options, core, metrics)),
    }
}
