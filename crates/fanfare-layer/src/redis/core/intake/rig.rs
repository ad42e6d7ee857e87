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

use crate::redis::core::capacity::Capacities;
use crate::redis::core::channels::{self, Wants};
use crate::redis::core::keys::Keys;
use crate::redis::core::line::Line;
use crate::redis::core::unpack::Bodies;
use crate::redis::core::{CoreOptions, Shared, intake};
use crate::redis::inbox::Inbox;
use crate::{Delivery, LayerMetrics, PublishError};

pub(in crate::redis::core) const SOON: Duration = Duration::from_secs(10);
/// Longer than any test takes: nothing may come only because a wait is over.
pub(in crate::redis::core) const LONG: Duration = Duration::from_secs(60);
pub(in crate::redis::core) const EXPIRY: Duration = Duration::from_secs(60);

pub(in crate::redis::core) struct Process {
    pub(in crate::redis::core) shared: Arc<Shared>,
    /// To the hosts, for the test itself.
    hosts: Vec<MultiplexedConnection>,
    urls: Vec<String>,
    arrived: BoxStream<'static, Vec<Delivery>>,
    early: Vec<Delivery>,
}

/// Ends with its value.
pub(in crate::redis::core) struct Task(JoinHandle<String>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Task {
    /// Why it ended.
    pub(in crate::redis::core) async fn end(mut self) -> Result<String> {
        Ok(within(SOON, "the end", &mut self.0).await??)
    }

    /// Ends it where it stands.
    pub(in crate::redis::core) async fn cut(mut self) {
        self.0.abort();
        let _ = (&mut self.0).await;
    }
}

pub(in crate::redis::core) fn serializer() -> Serializer {
    Serializer::core(Notation::Msgpack, &[], 12, EXPIRY)
}

pub(in crate::redis::core) fn body(number: i64, to: Recipients<'_>) -> Bytes {
    let envelope = Envelope::new(Event::new("test").with("number", number));
    let draft = serializer().draft(&envelope).unwrap();
    serializer().finish(&draft, to, false).unwrap()
}

pub(in crate::redis::core) fn number(delivery: &Delivery) -> i64 {
    match delivery.envelope.event.get("number") {
        Some(Value::Int(number)) => *number,
        other => panic!("no number but {other:?}"),
    }
}

pub(in crate::redis::core) fn channel(name: &str) -> ChannelName {
    Naming::plain("asgi").channel(name).unwrap()
}

impl Process {
    pub(in crate::redis::core) async fn start(
        servers: &[&RedisServer],
        inbox: usize,
        probe: Duration,
    ) -> Result<Self> {
        let urls = servers.iter().map(|server| server.url()).collect();
        Self::with_urls(urls, inbox, probe).await
    }

    pub(in crate::redis::core) async fn with_urls(
        urls: Vec<String>,
        inbox: usize,
        probe: Duration,
    ) -> Result<Self> {
        let keys = Arc::new(Keys::new("asgi", NodeId::random()?));
        let metrics = LayerMetrics::new(&prometheus::Registry::new())?;
        let bodies = Bodies {
            keys: keys.clone(),
            serializer: serializer(),
            guests: None,
            per_session: false,
            recent: Arc::default(),
        };
        let inbox = Arc::new(Inbox::new(bodies, inbox, metrics.clone()));
        let mut hosts = Vec::new();
        let mut lines = Vec::new();
        for url in &urls {
            let mut host = connect(url).await?;
            let (seconds, micros) = redis::cmd("TIME").query_async(&mut host).await?;
            let line = Line::new(SOON, PublishError::Down("not yet".into()));
            line.set_clock(seconds, micros);
            line.prepare(connect(url).await?);
            line.accept();
            lines.push(Arc::new(line));
            hosts.push(host);
        }
        let options = CoreOptions {
            serializer: serializer(),
            capacity: Capacities::new(100, &[])?,
            expiry: EXPIRY,
            group_expiry: Duration::from_secs(86400),
            per_session: false,
        };
        let arrived = inbox.stream();
        let shared = Shared {
            keys,
            options,
            lines,
            inbox,
            wants: Wants::default(),
            recent: Arc::default(),
            metrics,
            probe,
        };
        Ok(Self {
            shared: Arc::new(shared),
            hosts,
            urls,
            arrived,
            early: Vec::new(),
        })
    }

    pub(in crate::redis::core) async fn connection(
        &self,
        host: usize,
    ) -> Result<MultiplexedConnection> {
        connect(&self.urls[host]).await
    }

    pub(in crate::redis::core) async fn take(&self) -> Result<Task> {
        let connection = connect(&self.urls[0]).await?;
        let shared = self.shared.clone();
        let task = async move { intake::take(connection, &shared, 0).await };
        Ok(Task(tokio::spawn(task)))
    }

    pub(in crate::redis::core) async fn fetch(&self, host: usize) -> Result<Task> {
        let connection = connect(&self.urls[host]).await?;
        let shared = self.shared.clone();
        let task = async move { channels::fetch(connection, &shared, host).await };
        Ok(Task(tokio::spawn(task)))
    }

    /// After the connections were lost.
    pub(in crate::redis::core) async fn reconnected(mut self) -> Result<Self> {
        for (at, url) in self.urls.iter().enumerate() {
            self.hosts[at] = connect(url).await?;
            self.shared.lines[at].prepare(connect(url).await?);
            self.shared.lines[at].accept();
        }
        Ok(self)
    }

    /// A host's time.
    pub(in crate::redis::core) fn now(&self) -> f64 {
        self.shared.lines[0].now()
    }

    pub(in crate::redis::core) async fn add(
        &self,
        host: usize,
        key: &str,
        score: f64,
        body: &Bytes,
    ) -> Result<()> {
        let mut command = redis::cmd("ZADD");
        command.arg(key).arg(score).arg(body.as_ref());
        let mut host = self.hosts[host].clone();
        Ok(command.query_async(&mut host).await?)
    }

    /// How many messages wait in a set.
    pub(in crate::redis::core) async fn waiting(&self, host: usize, key: &str) -> Result<usize> {
        let mut host = self.hosts[host].clone();
        Ok(redis::cmd("ZCARD").arg(key).query_async(&mut host).await?)
    }

    /// How many clients of a host wait in a blocking command.
    pub(in crate::redis::core) async fn blocked(&self, host: usize) -> Result<usize> {
        let mut host = self.hosts[host].clone();
        let info: String = redis::cmd("INFO")
            .arg("clients")
            .query_async(&mut host)
            .await?;
        let line = info
            .lines()
            .find_map(|it| it.strip_prefix("blocked_clients:"));
        Ok(line.context("no number of blocked clients")?.parse()?)
    }

    /// The next deliveries.
    pub(in crate::redis::core) async fn next(&mut self, count: usize) -> Result<Vec<Delivery>> {
        while self.early.len() < count {
            let what = format!("{count} deliveries, {} have come", self.early.len());
            let batch = within(SOON, &what, self.arrived.next()).await?;
            let batch = batch.ok_or_else(|| anyhow!("the inbox is closed"))?;
            self.early.extend(batch);
        }
        Ok(self.early.drain(..count).collect())
    }

    pub(in crate::redis::core) async fn numbers(&mut self, count: usize) -> Result<Vec<i64>> {
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
