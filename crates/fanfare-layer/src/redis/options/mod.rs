//! How to reach Redis and what to speak there.

pub(super) mod capacities;
pub(super) mod core;

use std::time::Duration;

use fanfare_protocol::serializer::Notation;
use fanfare_protocol::{Naming, NodeId, Serializer};

use self::core::CoreOptions;
use crate::redis::hosts::host::Host;
use crate::{CloseEvents, MemoryBudget};

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
    /// What waits draws from it. When it is short, further messages of pub/sub are dropped and
    /// counted, those of core stay in Redis.
    pub memory: MemoryBudget,
    /// What events of type `fanfare.close` do.
    pub close_events: CloseEvents,
    /// How hosts are watched.
    pub pace: RedisPace,
    /// The wire format.
    pub format: Format,
}

/// How hosts are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedisPace {
    /// How often a host is probed, and asked whether it is the master. With core the node's
    /// heartbeat asks, which has a pace of its own.
    pub probe: Duration,
    /// How long a connection that owes an answer may be silent before it counts as dead. With core
    /// a connection that waits for messages owes one after each wait of `probe`, in whole seconds.
    pub timeout: Duration,
}

impl Default for RedisPace {
    /// Two seconds each.
    fn default() -> Self {
        Self::every(Duration::from_secs(2))
    }
}

impl RedisPace {
    /// Probes that often, and waits as long for an answer.
    pub fn every(probe: Duration) -> Self {
        Self {
            probe,
            timeout: probe,
        }
    }
}

/// A wire format of channels_redis, the same on all nodes and in Python.
#[derive(Debug, Clone)]
pub enum Format {
    /// That of `channels_redis.pubsub.RedisPubSubChannelLayer`: PUBLISH and SUBSCRIBE; a node that
    /// is away misses what is published.
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

impl Format {
    /// How channels are named in this format.
    pub fn naming(&self, prefix: &str) -> Naming {
        match self {
            Self::PubSub(_) => Naming::pubsub(prefix),
            Self::Core(_) => Naming::plain(prefix),
        }
    }
}
