//! A sender on real servers, without the layer around it.

mod copies;
mod faults;
mod limits;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use fanfare_protocol::serializer::Notation;
use fanfare_protocol::{Envelope, Event, GroupName, Naming, NodeId, Serializer, Target};
use fanfare_rig::{RedisServer, within};
use redis::Value;
use tokio::task::JoinHandle;

use crate::redis::core::demand::Demand;
use crate::redis::core::host::commands::CommandConnection;
use crate::redis::core::keys::Keys;
use crate::redis::core::send::request::PublishRequest;
use crate::redis::core::send::{self, script};
use crate::redis::core::shared::Shared;
use crate::redis::core::unpack::Bodies;
use crate::redis::hosts::shard::shard;
use crate::redis::options::RedisPace;
use crate::redis::options::capacities::Capacities;
use crate::redis::options::core::CoreOptions;
use crate::redis::queue::incoming::Incoming;
use crate::redis::queue::outgoing::{Outgoing, Room};
use crate::{CloseEvents, LayerMetrics, MemoryBudget, Publish, PublishError};

const SOON: Duration = Duration::from_secs(10);
/// How long a server may be silent.
const LIMIT: Duration = Duration::from_secs(2);
const NODE: &str = "0123456789abcdef0123456789abcdef";

/// A sender and its servers.
struct Site {
    servers: Vec<RedisServer>,
    connections: Vec<Arc<CommandConnection>>,
    keys: Arc<Keys>,
    metrics: LayerMetrics,
    serializer: Serializer,
    outgoing: Arc<Outgoing<PublishRequest>>,
    task: JoinHandle<()>,
}

impl Site {
    async fn start(hosts: usize) -> Result<Self> {
        Self::with(hosts, Capacities::new(100, &[])?).await
    }

    async fn with(hosts: usize, capacity: Capacities) -> Result<Self> {
        let servers: Vec<_> = (0..hosts)
            .map(|_| RedisServer::start())
            .collect::<Result<_>>()?;
        let urls = servers.iter().map(RedisServer::url).collect();
        Self::of(servers, urls, capacity).await
    }

    /// A sender that reaches the servers by these URLs.
    async fn of(
        servers: Vec<RedisServer>,
        urls: Vec<String>,
        capacity: Capacities,
    ) -> Result<Self> {
        let mut connections = Vec::new();
        for url in urls {
            connections.push(Arc::new(connect(&url).await?));
        }
        let expiry = Duration::from_secs(60);
        let serializer = Serializer::core(Notation::Msgpack, &[], 12, expiry);
        let options = CoreOptions {
            serializer: serializer.clone(),
            capacity,
            expiry,
            group_expiry: Duration::from_secs(86_400),
            per_session: false,
        };
        let keys = Arc::new(Keys::new("asgi", NodeId::parse(NODE).context("an id")?));
        let metrics = LayerMetrics::new(&prometheus::Registry::new())?;
        let room = Room {
            publishes: 100_000,
            bytes: 1 << 30,
        };
        let unheard = PublishError::Down("not yet".into());
        let outgoing = Arc::new(Outgoing::new(
            room,
            unheard,
            &MemoryBudget::unlimited(),
            metrics.clone(),
        ));
        outgoing.open();
        let bodies = Bodies {
            keys: keys.clone(),
            serializer: serializer.clone(),
            close_events: CloseEvents::Ignored,
        };
        let shared = Shared {
            keys: keys.clone(),
            options,
            servers: connections.clone(),
            incoming: Arc::new(Incoming::new(
                bodies,
                1,
                &MemoryBudget::unlimited(),
                metrics.clone(),
            )),
            demand: Demand::default(),
            metrics: metrics.clone(),
            pace: RedisPace::every(LIMIT),
        };
        Ok(Self {
            task: tokio::spawn(send::run(Arc::new(shared), outgoing.clone())),
            servers,
            connections,
            keys,
            metrics,
            serializer,
            outgoing,
        })
    }

    fn publish(&self, target: Target, envelope: &Envelope) -> Publish {
        let request = PublishRequest::new(&self.serializer, target, envelope).unwrap();
        self.outgoing.publish(request)
    }

    /// Publishes and waits for what becomes of it.
    async fn send(&self, target: Target, event: Event) -> Result<Result<(), PublishError>> {
        let published = self.publish(target, &Envelope::new(event)).confirmed();
        within(SOON, "the publish", published).await
    }

    /// Adds members to a group, in their order.
    fn join(&self, group: &str, members: &[&str]) -> Result<()> {
        let server = &self.servers[shard(group, self.servers.len())];
        let key = self.keys.group(&GroupName::parse(group)?);
        let now = self.connections[0].now();
        for (at, member) in members.iter().enumerate() {
            let score = format!("{}", now + at as f64 / 1000.0);
            server.cli(&["ZADD", &key, &score, member])?;
        }
        Ok(())
    }

    /// The bodies that wait in a channel on one of the servers, without their random bytes.
    fn waiting(&self, host: usize, name: &str) -> Result<Vec<Vec<u8>>> {
        let key = self.keys.channel(name);
        let answer = self.servers[host].cli(&["ZRANGE", &key, "0", "-1"])?;
        let bodies: Vec<Vec<u8>> = redis::from_redis_value(answer)?;
        Ok(bodies.into_iter().map(|body| body[12..].to_vec()).collect())
    }

    /// Where a process reads.
    fn host(&self, process: &str) -> usize {
        shard(process, self.servers.len())
    }

    fn cli(&self, words: &[&str]) -> Result<Value> {
        self.servers[0].cli(words)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn connect(url: &str) -> Result<CommandConnection> {
    let client = redis::Client::open(url)?;
    let config = redis::AsyncConnectionConfig::new().set_response_timeout(None);
    let mut connection = client
        .get_multiplexed_async_connection_with_config(&config)
        .await?;
    script::load(&mut connection).await?;
    let (seconds, micros) = redis::cmd("TIME").query_async(&mut connection).await?;
    let opened = CommandConnection::new(LIMIT, PublishError::Down("not yet".into()));
    opened.set_clock(seconds, micros);
    opened.prepare(connection);
    opened.accept();
    Ok(opened)
}

fn group(name: &str) -> Target {
    Target::Group(GroupName::parse(name).unwrap())
}

fn channel(name: &str) -> Target {
    Target::Channel(Naming::plain("asgi").channel(name).unwrap())
}

fn numbered(number: i64) -> Event {
    Event::new("test.number").with("number", number)
}
