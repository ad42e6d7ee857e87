//! One configuration with everybody on it.

use anyhow::Result;
use fanfare::{CoreFormat, Layer, Notation, RedisFormat, RedisLayer};
use fanfare_rig::{
    Cluster, ClusterOptions, PythonBackend, PythonLayer, PythonOptions, PythonWorker, RedisServer,
    Socket, eventually,
};
use redis::Value as Reply;
use serde_json::json;

use super::Configuration;
use crate::support::{GROUP_ROUTE, SOON};

/// The channel of the worker in Python.
pub(super) const JOBS: &str = "python-jobs";
const NODES: usize = 2;
/// The keys, as Fanfare has them.
const KEYS: [&str; 2] = ["the new key", "the old key"];

/// Python twice, two nodes, and Redis, which ends last: fields drop in this order.
pub(super) struct Scene {
    pub(super) configuration: Configuration,
    pub(super) python: PythonLayer,
    pub(super) worker: PythonWorker,
    pub(super) cluster: Cluster,
    pub(super) redis: Vec<RedisServer>,
}

impl Scene {
    pub(super) async fn set(configuration: Configuration) -> Result<Self> {
        Self::with(configuration, &[]).await
    }

    /// With more keys of Fanfare's configuration.
    pub(super) async fn with(configuration: Configuration, more: &[(&str, &str)]) -> Result<Self> {
        let servers = (0..configuration.hosts).map(|_| RedisServer::start());
        let redis = servers.collect::<Result<Vec<_>>>()?;
        let hosts: Vec<String> = redis.iter().map(RedisServer::url).collect();
        let options = of_python(configuration, &hosts);
        let worker = PythonWorker::start(&options, &[JOBS])?;
        let mut cluster = of_fanfare(configuration, &hosts);
        for (key, value) in more {
            cluster = cluster.set(key, value);
        }
        Ok(Self {
            cluster: cluster.start().await?,
            python: PythonLayer::with(&options).await?,
            configuration,
            redis,
            worker,
        })
    }

    /// What a program of Rust joins with.
    pub(super) fn rust_program(&self) -> Result<fanfare::ClusterOptions> {
        let configuration = self.configuration;
        let mut layer = RedisLayer::new(self.redis.iter().map(RedisServer::url))?;
        if self.is_core() {
            layer.format = RedisFormat::Core(CoreFormat::default());
        }
        if configuration.serializer != "msgpack" {
            layer.serializer = Notation::Json;
        }
        if configuration.encrypted {
            layer.symmetric_encryption_keys = KEYS.map(str::to_owned).into();
        }
        Ok(fanfare::ClusterOptions {
            layer: Layer::Redis(layer),
            ..fanfare::ClusterOptions::default()
        })
    }

    pub(super) fn is_core(&self) -> bool {
        self.configuration.backend == PythonBackend::Core
    }

    /// A socket on each node, in the same group.
    pub(super) async fn sockets(&self, group: &str) -> Result<[Socket; NODES]> {
        let path = format!("/g/{group}");
        Ok([
            self.cluster[0].connect(&path).await?,
            self.cluster[1].connect(&path).await?,
        ])
    }

    /// A Python channel in a group that has sockets on every node, and Redis knows it.
    pub(super) async fn python_member(&mut self, group: &str) -> Result<String> {
        let channel = self.python.join(group).await?;
        self.listened_to(&channel, 1).await?;
        let group = format!("asgi__group__{group}");
        self.listened_to(&group, NODES + 1).await?;
        Ok(channel)
    }

    /// Waits for subscribers of a Redis channel, on whichever host: Python does not wait for Redis
    /// to acknowledge its SUBSCRIBE. In the core format messages wait instead.
    pub(super) async fn listened_to(&self, channel: &str, count: usize) -> Result<()> {
        if self.is_core() {
            return Ok(());
        }
        let what = format!("{count} subscribers of {channel}");
        eventually(SOON, &what, async || {
            let mut found = 0;
            for redis in &self.redis {
                let reply = redis.cli(&["PUBSUB", "NUMSUB", channel])?;
                let (_, here): (String, usize) = redis::from_redis_value(reply)?;
                found += here;
            }
            Ok((found == count).then_some(()))
        })
        .await
    }

    /// Whether a channel is in the zset of a group, on whichever host; core only.
    pub(super) fn is_member(&self, group: &str, channel: &str) -> Result<bool> {
        let key = format!("asgi:group:{group}");
        for redis in &self.redis {
            if redis.cli(&["ZSCORE", &key, channel])? != Reply::Nil {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn of_python(configuration: Configuration, hosts: &[String]) -> PythonOptions {
    let mut options = PythonOptions::new(configuration.backend, hosts);
    options.serializer_format = Some(configuration.serializer.to_owned());
    if configuration.encrypted {
        let keys = KEYS.iter().rev();
        options.symmetric_encryption_keys = keys.map(|key| (*key).to_owned()).collect();
    }
    options.python = configuration.python;
    options
}

fn of_fanfare(configuration: Configuration, hosts: &[String]) -> ClusterOptions {
    let format = match configuration.backend {
        PythonBackend::PubSub => "pubsub",
        PythonBackend::Core => "core",
    };
    let mut options = ClusterOptions::new()
        .nodes(NODES)
        .set("layer.redis.hosts", json!(hosts))
        .set("layer.format", format)
        .config(GROUP_ROUTE);
    if configuration.serializer != "msgpack" {
        options = options.set("layer.serializer", configuration.serializer);
    }
    if configuration.encrypted {
        options.set("layer.symmetric_encryption_keys", json!(KEYS))
    } else {
        options
    }
}
