//! What a cluster's node is made of.

use std::sync::Arc;
use std::time::Duration;

use fanfare_layer::{ChannelLayer, LayerMetrics, MemoryLayer, QueueOptions, Sink};
use fanfare_node::{Limits, Node, NodeOptions, PingOptions};
use fanfare_protocol::{Naming, NodeId};
use prometheus::Registry;

use super::error::ClusterError;

/// What may wait in the layer's stream, in inboxes of a worker: one read of the connection may
/// bring more than an inbox holds.
#[cfg(feature = "redis")]
const STREAM: usize = 16;
/// How often Redis is probed end to end, and how long it may take to answer.
#[cfg(feature = "redis")]
const PROBE: Duration = Duration::from_secs(2);

/// What carries events between the nodes of a cluster.
#[derive(Debug, Clone)]
pub enum Layer {
    /// This process alone; nothing to install.
    Memory,
    /// Redis pub/sub, in the wire format of channels_redis' pub/sub layer.
    #[cfg(feature = "redis")]
    Redis {
        /// The servers, in the same order on every node; at least one.
        hosts: Vec<fanfare_layer::redis::Host>,
    },
}

/// How a [`Cluster`](crate::Cluster) is made. The defaults are those of the server's
/// configuration, with the memory layer.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// What carries the events.
    pub layer: Layer,
    /// What stands in front of every name in Redis; the same on all nodes and in channels_redis.
    pub prefix: String,
    /// Bounds of this node.
    pub limits: Limits,
    /// When silent clients are pinged and given up.
    pub ping: PingOptions,
    /// How long joining a group waits for the layer's acknowledgement, and how long publishing
    /// waits for a layer that has not answered yet since the start.
    pub join_timeout: Duration,
    /// How long a closed session waits for its client's goodbye; and, from its end on, how long a
    /// handler that still runs and `disconnect` have together. With zero they have one poll.
    pub close_timeout: Duration,
    /// How long a group without members stays subscribed: a page that is loaded again finds it
    /// still there.
    pub linger: Duration,
    /// What may wait in the channels of workers.
    pub queue: QueueOptions,
    /// Where the node counts; one cluster for each registry.
    pub registry: Registry,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            layer: Layer::Memory,
            prefix: "asgi".to_owned(),
            limits: Limits {
                sessions: 100_000,
                message_bytes: 1 << 20,
                frame_bytes: 1 << 20,
                outbox_bytes: 1 << 20,
                outbox_frames: 1024,
                inbox_frames: 4096,
                groups_per_session: 100,
            },
            ping: PingOptions {
                interval: Duration::from_secs(20),
                timeout: Duration::from_secs(30),
            },
            join_timeout: Duration::from_secs(2),
            close_timeout: Duration::from_secs(2),
            linger: Duration::from_secs(3),
            queue: QueueOptions::default(),
            registry: Registry::new(),
        }
    }
}

impl Layer {
    /// The layer over these Redis servers, named by URLs as redis-py reads them:
    /// `redis://:password@host:6379/0`, `rediss://` for TLS, `unix:///path`.
    ///
    /// # Errors
    /// [`ClusterError::Host`] names the URL, its password masked; [`ClusterError::NoHosts`].
    #[cfg(feature = "redis")]
    pub fn redis<I>(hosts: I) -> Result<Self, ClusterError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let hosts = hosts.into_iter();
        let hosts = hosts.map(|url| fanfare_layer::redis::Host::parse(url.as_ref()));
        let hosts = hosts.collect::<Result<Vec<_>, _>>()?;
        if hosts.is_empty() {
            return Err(ClusterError::NoHosts);
        }
        Ok(Self::Redis { hosts })
    }

    fn check(&self) -> Result<(), ClusterError> {
        match self {
            Self::Memory => Ok(()),
            #[cfg(feature = "redis")]
            Self::Redis { hosts } if hosts.is_empty() => Err(ClusterError::NoHosts),
            #[cfg(feature = "redis")]
            Self::Redis { .. } if tokio::runtime::Handle::try_current().is_err() => {
                Err(ClusterError::NoRuntime)
            }
            #[cfg(feature = "redis")]
            Self::Redis { .. } => Ok(()),
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
        self.layer.check()?;
        let id = NodeId::random().map_err(|_| ClusterError::Random)?;
        let metrics = LayerMetrics::new(&self.registry)?;
        let options = NodeOptions {
            id,
            naming: self.naming(),
            limits: self.limits.clone(),
            ping: self.ping.clone(),
            join_timeout: self.join_timeout,
            close_timeout: self.close_timeout,
            linger: self.linger,
            queue: self.queue.clone(),
            subscribes: !matches!(self.layer, Layer::Memory),
        };
        let registry = self.registry.clone();
        Ok(Node::new(options, &registry, |sink| {
            self.connect(id, sink, metrics)
        })?)
    }

    fn naming(&self) -> Naming {
        match self.layer {
            Layer::Memory => Naming::plain(&self.prefix),
            #[cfg(feature = "redis")]
            Layer::Redis { .. } => fanfare_layer::redis::naming(&self.prefix),
        }
    }

    #[cfg_attr(
        not(feature = "redis"),
        expect(unused_variables, reason = "the memory layer has no names of its own")
    )]
    fn connect(
        self,
        node: NodeId,
        sink: Arc<dyn Sink>,
        metrics: LayerMetrics,
    ) -> Arc<dyn ChannelLayer> {
        match self.layer {
            Layer::Memory => Arc::new(MemoryLayer::new(sink, metrics)),
            #[cfg(feature = "redis")]
            Layer::Redis { hosts } => {
                let options = fanfare_layer::redis::PubSubOptions {
                    hosts,
                    prefix: self.prefix,
                    node,
                    publish_in_flight: self.limits.inbox_frames,
                    inbox: self.limits.inbox_frames.saturating_mul(STREAM),
                    probe: PROBE,
                };
                fanfare_layer::redis::pubsub(options, metrics)
            }
        }
    }
}
