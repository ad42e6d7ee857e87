//! Where layers of one cluster come from.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use fanfare_layer::redis::{Capacities, CoreOptions, Format, Host, RedisOptions, RedisPace};
use fanfare_layer::{CloseEvents, LayerMetrics, MemoryBudget, MemoryLayer, State};
use fanfare_protocol::serializer::Notation;
use fanfare_protocol::{Naming, NodeId, Serializer};
use fanfare_rig::RedisServer;
use prometheus::Registry;

use super::{Arrivals, CAPACITY, Node};

/// One process, or Redis servers in one of channels_redis' formats.
pub(crate) enum Cluster {
    Memory {
        full_every: usize,
    },
    Redis {
        servers: Vec<RedisServer>,
        format: Format,
        notation: Notation,
        publish_in_flight: usize,
    },
}

impl Cluster {
    pub(crate) fn memory() -> Self {
        Self::Memory { full_every: 0 }
    }

    /// Pub/sub with msgpack.
    pub(crate) fn pubsub(hosts: usize) -> Result<Self> {
        Self::redis(hosts, Format::default())
    }

    /// Core with msgpack. Everything may wait in great numbers, but for what is sent to the
    /// normal channel `thumbnails`.
    pub(crate) fn core(hosts: usize) -> Result<Self> {
        let mut options = core_options()?;
        options.capacity = Capacities::new(100_000, &[("thumbnails".into(), CAPACITY)])?;
        Self::redis(hosts, Format::Core(options))
    }

    fn redis(hosts: usize, format: Format) -> Result<Self> {
        let servers = (0..hosts)
            .map(|_| RedisServer::start())
            .collect::<Result<_>>()?;
        Ok(Self::Redis {
            servers,
            format,
            notation: Notation::Msgpack,
            publish_in_flight: 4096,
        })
    }

    /// The same with JSON, encrypted with the first of two keys.
    pub(crate) fn secret_json(mut self) -> Self {
        let keys = ["sekrit".to_owned(), "old".to_owned()];
        if let Self::Redis {
            format, notation, ..
        } = &mut self
        {
            *notation = Notation::Json;
            match format {
                Format::PubSub(serializer) => *serializer = Serializer::pubsub(*notation, &keys),
                Format::Core(core) => {
                    core.serializer = Serializer::core(*notation, &keys, 12, core.expiry);
                }
            }
        }
        self
    }

    /// The same with little room between publish and delivery.
    pub(crate) fn narrow(mut self) -> Self {
        match &mut self {
            Self::Memory { full_every } => *full_every = 3,
            Self::Redis {
                servers,
                publish_in_flight,
                ..
            } => *publish_in_flight = servers.len() * 2,
        }
        self
    }

    /// A node that is connected.
    pub(crate) async fn node(&self) -> Result<Node> {
        Ok(self.silent_node().await?.reading())
    }

    /// A node that is connected, and whose stream nobody reads yet.
    pub(crate) async fn silent_node(&self) -> Result<Node> {
        let node = match self {
            Self::Memory { full_every } => memory(*full_every)?,
            Self::Redis {
                servers,
                format,
                publish_in_flight,
                ..
            } => {
                let mut options = options(servers.iter().map(RedisServer::url))?;
                options.publish_in_flight = *publish_in_flight;
                options.format = format.clone();
                Node::redis(options)?
            }
        };
        node.reaches(State::Up).await?;
        Ok(node)
    }

    /// Its servers, in their order; none in one process.
    pub(crate) fn servers(&self) -> &[RedisServer] {
        match self {
            Self::Memory { .. } => &[],
            Self::Redis { servers, .. } => servers,
        }
    }

    /// Whether messages wait in Redis, under the core format's rules.
    pub(crate) fn is_core(&self) -> bool {
        matches!(
            self,
            Self::Redis {
                format: Format::Core(_),
                ..
            }
        )
    }

    /// Whether events are JSON in Redis, which has no bytes.
    pub(crate) fn is_json(&self) -> bool {
        matches!(
            self,
            Self::Redis {
                notation: Notation::Json,
                ..
            }
        )
    }
}

fn memory(full_every: usize) -> Result<Node> {
    let registry = Registry::new();
    let arrivals = Arc::new(Arrivals::new(full_every)?);
    let id = NodeId::random()?;
    let layer = MemoryLayer::new(id, arrivals.clone(), LayerMetrics::new(&registry)?);
    Ok(Node {
        layer: Arc::new(layer),
        naming: Naming::plain("asgi"),
        id,
        registry,
        arrivals,
    })
}

/// Generous options with a fresh node, for pub/sub.
pub(crate) fn options(urls: impl IntoIterator<Item = String>) -> Result<RedisOptions> {
    let hosts: Result<Vec<_>, _> = urls.into_iter().map(|url| Host::parse(&url)).collect();
    Ok(RedisOptions {
        hosts: hosts?,
        prefix: "asgi".into(),
        node: NodeId::random()?,
        publish_in_flight: 1024,
        inbox: 10_000,
        memory: MemoryBudget::unlimited(),
        close_events: CloseEvents::Ignored,
        pace: RedisPace::every(Duration::from_secs(5)),
        format: Format::default(),
    })
}

/// The core format as channels_redis' own tests have it: three messages may wait in a channel, and
/// one in that called `one`.
pub(crate) fn core_options() -> Result<CoreOptions> {
    let expiry = Duration::from_secs(60);
    Ok(CoreOptions {
        serializer: Serializer::core(Notation::Msgpack, &[], 12, expiry),
        capacity: Capacities::new(CAPACITY, &[("one".into(), 1)])?,
        expiry,
        group_expiry: Duration::from_secs(86_400),
        per_session: false,
    })
}
