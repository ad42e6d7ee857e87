//! The options of a cluster and of its node.

use std::sync::Arc;
use std::time::Duration;

use fanfare_layer::{
    ChannelLayer, CloseEvents, GroupRules, LayerMetrics, MemoryBudget, MemoryBus, MemoryLayer,
    QueueOptions, Sink,
};
use fanfare_node::{Limits, MembershipMode, Node, NodeOptions, PingOptions, memory_limit};
use fanfare_protocol::{Naming, NodeId};
use prometheus::Registry;

use super::error::ClusterError;
#[cfg(feature = "redis")]
use super::redis::RedisLayer;

/// What may wait in the layer's stream, in inboxes of a worker: one read of the connection may
/// bring more than an inbox holds.
#[cfg(feature = "redis")]
const STREAM: usize = 16;

/// What carries events between the nodes of a cluster.
#[derive(Debug, Clone)]
pub enum Layer {
    /// This process alone; nothing to install.
    Memory,
    /// Several nodes of this process, without Redis: for tests.
    Bus(MemoryBus),
    /// Redis, in one of the wire formats of channels_redis.
    #[cfg(feature = "redis")]
    Redis(RedisLayer),
}

/// A layer that nothing is wrong with.
enum Carrier {
    Memory,
    Bus(MemoryBus),
    #[cfg(feature = "redis")]
    Redis(super::redis::Checked),
}

/// How a [`Cluster`](crate::Cluster) is made. The defaults are those of the server's
/// configuration, with the memory layer.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// What carries the events.
    pub layer: Layer,
    /// The start of every name in Redis: visible ASCII characters without spaces. It is the same on
    /// all nodes and in channels_redis.
    pub prefix: String,
    /// Bounds of this node.
    pub limits: Limits,
    /// Bytes that may wait on this node, all queues together: for slow clients, in messages that are
    /// not complete, in channels that nobody receives from, on the way from and to Redis. From seven
    /// eighths on the node refuses what is new, and cuts whoever holds most. 0 is three quarters of
    /// what the machine has, or the control group of this process.
    pub memory_bytes: usize,
    /// When a silent client is pinged, and when its connection is dropped.
    pub ping: PingOptions,
    /// How long joining a group waits for the layer's acknowledgement, and how long publishing
    /// waits for a layer that has not answered yet since the start.
    pub join_timeout: Duration,
    /// How long publishing from outside of a session waits for room, while a worker thread or Redis
    /// does not keep up. After that it fails with [`SendError::Layer`](crate::SendError::Layer), and
    /// nothing is published. A session that publishes waits as long as it takes.
    pub publish_timeout: Duration,
    /// How long a closed session waits for the close frame of its client. After the end of a
    /// session, a handler that still runs and `disconnect` together have the same time. With zero
    /// they are polled once.
    pub close_timeout: Duration,
    /// How long a group without members stays subscribed, so that a client that reloads its page
    /// finds the group still subscribed.
    pub linger: Duration,
    /// The bounds of the queues for the channels of workers.
    pub queue: QueueOptions,
    /// Rules of groups by patterns of their names; the first that matches counts.
    pub groups: GroupRules,
    /// Whether an event of type `fanfare.close` closes sessions: one that anybody publishes, in Python
    /// for example, to everyone, to a user or to the channel of a session. Its `code` and `reason`
    /// are those of the close. Leave it ignored where a program merges what a browser sent into its
    /// events. Not on a [`Layer::Bus`].
    pub close_events: CloseEvents,
    /// The registry for the metrics of the node. Each cluster needs its own registry.
    pub registry: Registry,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            layer: Layer::Memory,
            prefix: "asgi".to_owned(),
            limits: Limits::default(),
            memory_bytes: 0,
            ping: PingOptions::default(),
            join_timeout: Duration::from_secs(2),
            publish_timeout: Duration::from_secs(4),
            close_timeout: Duration::from_secs(2),
            linger: Duration::from_secs(3),
            queue: QueueOptions::default(),
            groups: GroupRules::default(),
            close_events: CloseEvents::Ignored,
            registry: Registry::new(),
        }
    }
}

impl Layer {
    /// Redis pub/sub with msgpack on these servers. For the core format and for encryption change
    /// the fields of a [`RedisLayer`].
    ///
    /// # Errors
    /// [`ClusterError::Host`] names the URL, its password masked; [`ClusterError::NoHosts`].
    #[cfg(feature = "redis")]
    pub fn redis<I>(hosts: I) -> Result<Self, ClusterError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        RedisLayer::new(hosts).map(Self::Redis)
    }

    #[cfg_attr(
        not(feature = "redis"),
        expect(unused_variables, reason = "the memory layer has no names of its own")
    )]
    fn carrier(self, prefix: &str) -> Result<Carrier, ClusterError> {
        match self {
            Self::Memory => Ok(Carrier::Memory),
            Self::Bus(bus) => Ok(Carrier::Bus(bus)),
            #[cfg(feature = "redis")]
            Self::Redis(redis) => redis.checked(prefix).map(Carrier::Redis),
        }
    }
}

impl ClusterOptions {
    /// The node alone, for [`Cluster::of`](crate::Cluster::of): consumers and workers then count in
    /// a registry of their own.
    ///
    /// # Errors
    /// As [`Cluster::new`](crate::Cluster::new).
    pub fn node(self) -> Result<Node, ClusterError> {
        let carrier = self.layer.carrier(&self.prefix)?;
        let id = NodeId::random().map_err(|_| ClusterError::Random)?;
        let metrics = LayerMetrics::new(&self.registry)?;
        let memory = MemoryBudget::new(memory_limit(self.memory_bytes));
        let at = Place {
            node: id,
            prefix: self.prefix,
            inbox_frames: self.limits.inbox_frames,
            memory: memory.clone(),
            close_events: self.close_events,
        };
        let options = NodeOptions {
            id,
            naming: carrier.naming(&at.prefix),
            limits: self.limits,
            memory,
            ping: self.ping,
            join_timeout: self.join_timeout,
            publish_timeout: self.publish_timeout,
            close_timeout: self.close_timeout,
            linger: self.linger,
            queue: self.queue,
            groups: self.groups,
            subscribes: carrier.subscribes(),
            members: carrier.members(),
        };
        Ok(Node::new(options, &self.registry, |sink| {
            carrier.connect(at, sink, metrics)
        })?)
    }
}

/// Where a layer is in the cluster, and how much may wait in it.
#[cfg_attr(
    not(feature = "redis"),
    expect(
        dead_code,
        reason = "the memory layer has no names and no queues of its own"
    )
)]
struct Place {
    node: NodeId,
    prefix: String,
    inbox_frames: usize,
    memory: MemoryBudget,
    close_events: CloseEvents,
}

impl Carrier {
    fn naming(&self, prefix: &str) -> Naming {
        match self {
            Self::Memory | Self::Bus(_) => Naming::plain(prefix),
            #[cfg(feature = "redis")]
            Self::Redis(redis) => redis.format.naming(prefix),
        }
    }

    /// Whether the layer brings what it is asked for, and not everything.
    fn subscribes(&self) -> bool {
        match self {
            Self::Memory | Self::Bus(_) => false,
            #[cfg(feature = "redis")]
            Self::Redis(_) => true,
        }
    }

    fn members(&self) -> MembershipMode {
        match self {
            Self::Memory | Self::Bus(_) => MembershipMode::PerNode,
            #[cfg(feature = "redis")]
            Self::Redis(redis) => redis.members,
        }
    }

    fn connect(
        self,
        at: Place,
        sink: Arc<dyn Sink>,
        metrics: LayerMetrics,
    ) -> Arc<dyn ChannelLayer> {
        match self {
            Self::Memory => {
                let close_events = at.close_events;
                let layer = MemoryLayer::with_close_events(at.node, sink, metrics, close_events);
                Arc::new(layer)
            }
            Self::Bus(bus) => Arc::new(MemoryLayer::on(&bus, at.node, sink, metrics)),
            #[cfg(feature = "redis")]
            Self::Redis(redis) => {
                let options = fanfare_layer::redis::RedisOptions {
                    hosts: redis.hosts,
                    prefix: at.prefix,
                    node: at.node,
                    publish_in_flight: at.inbox_frames,
                    inbox: at.inbox_frames.saturating_mul(STREAM),
                    memory: at.memory,
                    close_events: at.close_events,
                    pace: redis.pace,
                    format: redis.format,
                };
                fanfare_layer::redis::connect(options, metrics)
            }
        }
    }
}
