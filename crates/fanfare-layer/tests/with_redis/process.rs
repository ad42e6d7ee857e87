//! One process at some hosts, without the connections that publish and keep memberships.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use bytes::Bytes;
use fanfare_protocol::serializer::{Notation, Recipients};
use fanfare_protocol::{ChannelName, Envelope, Event, Naming, NodeId, Serializer, Value};
use fanfare_rig::{RedisServer, within};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use tokio::task::JoinHandle;

use crate::redis::core::demand::Demand;
use crate::redis::core::host::commands::CommandConnection;
use crate::redis::core::keys::Keys;
use crate::redis::core::receive::{channels, lanes};
use crate::redis::core::shared::Shared;
use crate::redis::core::unpack::Bodies;
use crate::redis::options::RedisPace;
use crate::redis::options::capacities::Capacities;
use crate::redis::options::core::CoreOptions;
use crate::redis::queue::incoming::Incoming;
use crate::{CloseEvents, Delivery, LayerMetrics, MemoryBudget, PublishError};

pub(super) const SOON: Duration = Duration::from_secs(10);
/// Longer than any test takes: nothing may come only because a wait is over.
pub(super) const LONG: Duration = Duration::from_secs(60);
pub(super) const EXPIRY: Duration = Duration::from_secs(60);

pub(super) struct Process {
    pub(super) shared: Arc<Shared>,
    /// To the hosts, for the test itself.
    hosts: Vec<MultiplexedConnection>,
    urls: Vec<String>,
    arrived: BoxStream<'static, Vec<Delivery>>,
    early: Vec<Delivery>,
}

/// Ends with its value.
pub(super) struct Task(JoinHandle<String>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Task {
    /// Why it ended.
    pub(super) async fn end(mut self) -> Result<String> {
        Ok(within(SOON, "the end", &mut self.0).await??)
    }

    /// Ends it where it stands.
    pub(super) async fn cut(mut self) {
        self.0.abort();
        let _ = (&mut self.0).await;
    }
}

pub(super) fn serializer() -> Serializer {
    Serializer::core(Notation::Msgpack, &[], 12, EXPIRY)
}

pub(super) fn body(number: i64, to: Recipients<'_>) -> Bytes {
    let envelope = Envelope::new(Event::new("test").with("number", number));
    let draft = serializer().draft(&envelope).unwrap();
    serializer().finish(&draft, to, false).unwrap()
}

pub(super) fn number(delivery: &Delivery) -> i64 {
    match delivery.envelope.event.get("number") {
        Some(Value::Int(number)) => *number,
        other => panic!("no number but {other:?}"),
    }
}

pub(super) fn channel(name: &str) -> ChannelName {
    Naming::plain("asgi").channel(name).unwrap()
}

impl Process {
    pub(super) async fn start(
        servers: &[&RedisServer],
        incoming: usize,
        probe: Duration,
    ) -> Result<Self> {
        let urls = servers.iter().map(|server| server.url()).collect();
        Self::with_urls(urls, incoming, probe).await
    }

    pub(super) async fn with_urls(
        urls: Vec<String>,
        incoming: usize,
        probe: Duration,
    ) -> Result<Self> {
        let keys = Arc::new(Keys::new("asgi", NodeId::random()?));
        let metrics = LayerMetrics::new(&prometheus::Registry::new())?;
        let bodies = Bodies {
            keys: keys.clone(),
            serializer: serializer(),
            close_events: CloseEvents::Ignored,
        };
        let incoming = Arc::new(Incoming::new(
            bodies,
            incoming,
            &MemoryBudget::unlimited(),
            metrics.clone(),
        ));
        let mut hosts = Vec::new();
        let mut servers = Vec::new();
        for url in &urls {
            let mut host = connect(url).await?;
            let (seconds, micros) = redis::cmd("TIME").query_async(&mut host).await?;
            let server = CommandConnection::new(SOON, PublishError::Down("not yet".into()));
            server.set_clock(seconds, micros);
            server.prepare(connect(url).await?);
            server.accept();
            servers.push(Arc::new(server));
            hosts.push(host);
        }
        let options = CoreOptions {
            serializer: serializer(),
            capacity: Capacities::new(100, &[])?,
            expiry: EXPIRY,
            group_expiry: Duration::from_secs(86400),
            per_session: false,
        };
        let arrived = incoming.stream();
        let shared = Shared {
            keys,
            options,
            servers,
            incoming,
            demand: Demand::default(),
            metrics,
            pace: RedisPace::every(probe),
        };
        Ok(Self {
            shared: Arc::new(shared),
            hosts,
            urls,
            arrived,
            early: Vec::new(),
        })
    }

    pub(super) async fn connection(&self, host: usize) -> Result<MultiplexedConnection> {
        connect(&self.urls[host]).await
    }

    pub(super) async fn take(&self) -> Result<Task> {
        let connection = connect(&self.urls[0]).await?;
        let shared = self.shared.clone();
        let task = async move { lanes::take(connection, &shared, 0).await };
        Ok(Task(tokio::spawn(task)))
    }

    pub(super) async fn fetch(&self, host: usize) -> Result<Task> {
        let connection = connect(&self.urls[host]).await?;
        let shared = self.shared.clone();
        let task = async move { channels::fetch(connection, &shared, host).await };
        Ok(Task(tokio::spawn(task)))
    }

    /// After the connections were lost.
    pub(super) async fn reconnected(mut self) -> Result<Self> {
        for (at, url) in self.urls.iter().enumerate() {
            self.hosts[at] = connect(url).await?;
            self.shared.servers[at].prepare(connect(url).await?);
            self.shared.servers[at].accept();
        }
        Ok(self)
    }

    /// A host's time.
    pub(super) fn now(&self) -> f64 {
        self.shared.servers[0].now()
    }

    pub(super) async fn add(&self, host: usize, key: &str, score: f64, body: &Bytes) -> Result<()> {
        let mut command = redis::cmd("ZADD");
        command.arg(key).arg(score).arg(body.as_ref());
        let mut host = self.hosts[host].clone();
        Ok(command.query_async(&mut host).await?)
    }

    /// How many messages wait in a set.
    pub(super) async fn waiting(&self, host: usize, key: &str) -> Result<usize> {
        let mut host = self.hosts[host].clone();
        Ok(redis::cmd("ZCARD").arg(key).query_async(&mut host).await?)
    }

    /// How many clients of a host wait in a blocking command.
    pub(super) async fn blocked(&self, host: usize) -> Result<usize> {
        let mut host = self.hosts[host].clone();
        let info: String = redis::cmd("INFO")
            .arg("clients")
            .query_async(&mut host)
            .await?;
        let server = info
            .lines()
            .find_map(|it| it.strip_prefix("blocked_clients:"));
        Ok(server.context("no number of blocked clients")?.parse()?)
    }

    /// The next deliveries.
    pub(super) async fn next(&mut self, count: usize) -> Result<Vec<Delivery>> {
        while self.early.len() < count {
            let what = format!("{count} deliveries, {} have come", self.early.len());
            let batch = within(SOON, &what, self.arrived.next()).await?;
            let batch = batch.ok_or_else(|| anyhow!("the inbox is closed"))?;
            self.early.extend(batch);
        }
        Ok(self.early.drain(..count).collect())
    }

    pub(super) async fn numbers(&mut self, count: usize) -> Result<Vec<i64>> {
        Ok(self.next(count).await?.iter().map(number).collect())
    }
}

async fn connect(url: &str) -> Result<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None);
    let client = redis::Client::open(url)?;
    Ok(client
        .get_multiplexed_async_connection_with_config(&config)
        .await?)
}
