//! How a layer in Python is made.

use std::path::PathBuf;

use anyhow::{Result, bail};
use serde_json::{Map, Value, json};

use crate::paths::project_root;

/// Which of channels_redis' layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PythonBackend {
    /// `channels_redis.pubsub.RedisPubSubChannelLayer`.
    PubSub,
    /// `channels_redis.core.RedisChannelLayer`.
    Core,
}

/// Which redis-py is below channels_redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedisPy {
    /// 5.x, in `.venv-redis5`.
    V5,
    /// The newest, in `.venv`.
    Newest,
}

/// The arguments of a layer; what is none or empty is left to channels_redis.
#[derive(Debug, Clone)]
pub struct PythonOptions {
    /// Which layer.
    pub backend: PythonBackend,
    /// Servers, as channels_redis takes them: URLs, pairs or tables. Of a URL the core layer gets
    /// a table that has no `socket_timeout`: with the default of redis-py 8 an idle `receive` ends
    /// after five seconds.
    pub hosts: Vec<Value>,
    /// `asgi` when none.
    pub prefix: Option<String>,
    /// `msgpack` when none.
    pub serializer_format: Option<String>,
    /// The first encrypts, all decrypt.
    pub symmetric_encryption_keys: Vec<String>,
    /// Core only, in bytes.
    pub random_prefix_length: Option<u64>,
    /// Core only, in seconds.
    pub expiry: Option<u64>,
    /// Core only, in seconds.
    pub group_expiry: Option<u64>,
    /// Core only.
    pub capacity: Option<u64>,
    /// Core only: patterns with their capacity, the first that matches counts.
    pub channel_capacity: Vec<(String, u64)>,
    /// The environment that it runs in.
    pub python: RedisPy,
}

impl PythonOptions {
    /// A pub/sub layer on these URLs.
    pub fn pubsub<S: Into<String>>(hosts: impl IntoIterator<Item = S>) -> Self {
        Self::new(PythonBackend::PubSub, hosts)
    }

    /// A core layer on these URLs.
    pub fn core<S: Into<String>>(hosts: impl IntoIterator<Item = S>) -> Self {
        Self::new(PythonBackend::Core, hosts)
    }

    /// A layer on these URLs, with the defaults of channels_redis and the newest redis-py.
    pub fn new<S: Into<String>>(
        backend: PythonBackend,
        hosts: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            backend,
            hosts: hosts.into_iter().map(|url| json!(url.into())).collect(),
            prefix: None,
            serializer_format: None,
            symmetric_encryption_keys: Vec::new(),
            random_prefix_length: None,
            expiry: None,
            group_expiry: None,
            capacity: None,
            channel_capacity: Vec::new(),
            python: RedisPy::Newest,
        }
    }

    /// The keyword arguments.
    pub(super) fn arguments(&self) -> Value {
        let mut arguments = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                arguments.insert(name.to_owned(), value);
            }
        };
        put(
            "hosts",
            Some(self.hosts.iter().map(|h| self.host(h)).collect()),
        );
        put("prefix", self.prefix.clone().map(Value::from));
        let format = self.serializer_format.clone();
        put("serializer_format", format.map(Value::from));
        let keys = &self.symmetric_encryption_keys;
        put(
            "symmetric_encryption_keys",
            (!keys.is_empty()).then(|| json!(keys)),
        );
        put(
            "random_prefix_length",
            self.random_prefix_length.map(Value::from),
        );
        put("expiry", self.expiry.map(Value::from));
        put("group_expiry", self.group_expiry.map(Value::from));
        put("capacity", self.capacity.map(Value::from));
        let capacities = self.channel_capacity.iter();
        let capacities: Map<String, Value> = capacities
            .map(|(pattern, capacity)| (pattern.clone(), json!(capacity)))
            .collect();
        put(
            "channel_capacity",
            (!capacities.is_empty()).then_some(Value::Object(capacities)),
        );
        Value::Object(arguments)
    }

    fn host(&self, host: &Value) -> Value {
        match (self.backend, host) {
            (PythonBackend::Core, Value::String(url)) => {
                json!({ "address": url, "socket_timeout": null })
            }
            _ => host.clone(),
        }
    }
}

impl RedisPy {
    /// The interpreter of its environment.
    pub(super) fn interpreter(self) -> Result<PathBuf> {
        let name = match self {
            Self::V5 => ".venv-redis5",
            Self::Newest => ".venv",
        };
        let python = project_root().join(name).join("bin/python");
        if !python.is_file() {
            bail!("{} is missing: run `cargo xtask setup`", python.display());
        }
        Ok(python)
    }
}
