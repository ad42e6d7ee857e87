//! Redis, in the two wire formats of channels_redis.
//!
//! Each host is kept connected by a task of its own (`keeper`, all of them `keepers`), through what its format does there
//! (`pubsub`, `core`). Publishes go through a bounded `pipe`; what arrives from all hosts meets in
//! one bounded `inbox`. The `subscriptions` of a host are a wanted state that survives its
//! connections.

mod backoff;
mod board;
mod core;
mod glob;
mod host_options;
mod hosts;
mod inbox;
mod keeper;
mod keepers;
mod pipe;
mod pubsub;
mod pulse;
mod sentinel;
mod shard;
mod subscriptions;

use std::sync::Arc;
use std::time::Duration;

use fanfare_protocol::serializer::Notation;
use fanfare_protocol::{Naming, NodeId, Serializer};

pub use self::core::{Capacities, CapacityError, CoreOptions};
pub use hosts::{Host, HostError};
pub use sentinel::SentinelOptions;
pub use shard::shard;

use crate::{ChannelLayer, LayerMetrics, Sink};

/// How to reach Redis and what to speak there.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    /// Hosts in channels_redis' order: the order decides the shard of a name.
    pub hosts: Vec<Host>,
    /// The layer's prefix.
    pub prefix: String,
    /// This node: its channels carry its id.
    pub node: NodeId,
    /// Publishes in flight over all hosts before [`crate::Publish::Full`]; bodies of 32 MiB
    /// together are as full. With pub/sub each host has an equal share, and at least one.
    pub publish_in_flight: usize,
    /// Deliveries that wait to be drained from the stream; bodies of 64 MiB together are as full.
    /// With pub/sub further ones are dropped and counted, with core they stay in Redis.
    pub inbox: usize,
    /// How often a host is probed, and how long a connection that owes an answer may be silent
    /// before it counts as dead.
    pub probe: Duration,
    /// The wire format.
    pub format: Format,
}

/// A wire format of channels_redis, the same on all nodes and in Python.
#[derive(Debug, Clone)]
pub enum Format {
    /// That of `channels_redis.pubsub.RedisPubSubChannelLayer`: PUBLISH and SUBSCRIBE; who is
    /// away misses what is published.
    PubSub(Serializer),
    /// That of `channels_redis.core.RedisChannelLayer`: messages wait in sorted sets, so a short
    /// absence loses nothing, and normal channels are shared by processes.
    Core(CoreOptions),
}

impl Default for Format {
    /// Pub/sub with msgpack, as channels_redis without options.
    fn default() -> Self {
        Self::PubSub(Serializer::pubsub(Notation::Msgpack, &[]))
    }
}

/// Connects in the background and keeps trying: the status tells. Must be called inside a tokio
/// runtime; its tasks live there until [`ChannelLayer::close`] or until it is dropped.
///
/// While a host is down, publishing to names that live on it fails at once, and subscribing waits
/// for its return. The streams end when the layer is closed and they are drained. Options of hosts
/// that have no effect are named in one warning.
pub fn connect(
    options: RedisOptions,
    sink: Arc<dyn Sink>,
    metrics: LayerMetrics,
) -> Arc<dyn ChannelLayer> {
    hosts::tell_ignored(&options.hosts);
    match options.format.clone() {
        Format::PubSub(serializer) => {
            Arc::new(pubsub::PubSubLayer::start(options, serializer, metrics))
        }
        Format::Core(core) => Arc::new(self::core::CoreLayer::start(options, core, sink, metrics)),
    }
}

impl Format {
    /// How channels are named in this format.
    pub fn naming(&self, prefix: &str) -> Naming {
        match self {
            Self::PubSub(_) => Naming::pubsub(prefix),
            Self::Core(_) => Naming::plain(prefix),
        }
    }
}
