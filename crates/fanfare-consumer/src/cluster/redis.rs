//! The options of a layer over Redis: its hosts and its wire format.

use std::fmt;
use std::time::Duration;

use fanfare_layer::redis::{Capacities, CoreOptions, Format, Host, RedisPace};
use fanfare_node::MembershipMode;
use fanfare_protocol::serializer::Notation;
use fanfare_protocol::{Naming, Serializer};
use tokio::runtime::Handle;

use super::error::ClusterError;

/// A layer over Redis servers. The fields have the names of channels_redis' options. Their values
/// must be the same on all nodes and in Python.
///
/// ```no_run
/// use std::time::Duration;
///
/// use fanfare_consumer::{Cluster, ClusterOptions, CoreFormat, Layer, RedisFormat, RedisLayer};
///
/// # async fn connect(key: String) -> Result<(), Box<dyn std::error::Error>> {
/// let redis = RedisLayer {
///     symmetric_encryption_keys: vec![key],
///     format: RedisFormat::Core(CoreFormat {
///         capacity: 1000,
///         expiry: Duration::from_secs(10),
///         ..CoreFormat::default()
///     }),
///     ..RedisLayer::new(["redis://localhost:6379"])?
/// };
/// let cluster = Cluster::new(ClusterOptions {
///     layer: Layer::Redis(redis),
///     ..ClusterOptions::default()
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisLayer {
    /// The servers, in the same order on every node; at least one.
    pub hosts: Vec<Host>,
    /// How events are written. channels_redis calls it `serializer_format`.
    pub serializer: Notation,
    /// Texts whose SHA-256 are the keys of Fernet: the first encrypts, all decrypt. None: nothing
    /// is encrypted.
    pub symmetric_encryption_keys: Vec<String>,
    /// The wire format: that of the layer of channels_redis that the other processes use.
    pub format: RedisFormat,
    /// How often a server is probed, and how long one may owe an answer before its connections
    /// count as lost: two seconds each.
    pub pace: RedisPace,
}

/// A layer of channels_redis whose wire format is used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RedisFormat {
    /// `channels_redis.pubsub.RedisPubSubChannelLayer`: the fastest. A node that is not connected
    /// misses what is published.
    #[default]
    PubSub,
    /// `channels_redis.core.RedisChannelLayer`: messages wait in Redis, so a short absence loses
    /// nothing, and processes share normal channels.
    Core(CoreFormat),
}

/// Options of the core format. The defaults are those of channels_redis, where it has the option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoreFormat {
    /// How many messages may wait for one process, or in one normal channel, before senders
    /// refuse; at least 1.
    pub capacity: usize,
    /// The capacity of channels whose full name matches a pattern: `*` matches any characters, `?`
    /// matches one. The first pattern that matches is used. At least 1 each.
    pub channel_capacity: Vec<(String, usize)>,
    /// How many messages may wait in one Redis key of a Fanfare node before Fanfare refuses to
    /// send, if no pattern matches. At least 1. It is higher than `capacity`, because one key has
    /// the messages of thousands of sessions.
    pub node_capacity: usize,
    /// How long a message may wait; whole seconds, at least one.
    pub expiry: Duration,
    /// How long a membership lasts unless it is renewed. A node renews its own. The value of the
    /// sender applies to all members. Whole seconds, at least one.
    pub group_expiry: Duration,
    /// Random bytes in front of every message, so that two equal events stay two members of a
    /// sorted set.
    pub random_prefix_length: u8,
    /// What a group contains in Redis: one entry for each node, or one entry for each session, so
    /// that Python can remove a session from a group.
    pub members: MembershipMode,
}

/// A layer whose options are right.
pub(super) struct Checked {
    pub(super) hosts: Vec<Host>,
    pub(super) format: Format,
    pub(super) members: MembershipMode,
    pub(super) pace: RedisPace,
}

impl RedisLayer {
    /// Pub/sub and msgpack without encryption on these servers, named by URLs as redis-py reads
    /// them: `redis://:password@host:6379/0`, `rediss://` for TLS, `unix:///path`.
    ///
    /// # Errors
    /// [`ClusterError::Host`] names the URL, its password masked; [`ClusterError::NoHosts`].
    pub fn new<I>(hosts: I) -> Result<Self, ClusterError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let hosts = hosts.into_iter().map(|url| Host::parse(url.as_ref()));
        let hosts = hosts.collect::<Result<Vec<_>, _>>()?;
        if hosts.is_empty() {
            return Err(ClusterError::NoHosts);
        }
        Ok(Self {
            hosts,
            serializer: Notation::Msgpack,
            symmetric_encryption_keys: Vec::new(),
            format: RedisFormat::PubSub,
            pace: RedisPace::default(),
        })
    }

    /// The wire format as the layer takes it.
    ///
    /// # Errors
    /// [`ClusterError::RedisOption`].
    pub fn wire_format(&self) -> Result<Format, ClusterError> {
        let keys = &self.symmetric_encryption_keys;
        if let Some(index) = keys.iter().position(String::is_empty) {
            let option = format!("symmetric_encryption_keys[{index}]");
            return Err(refused(option, "is empty, so everyone would know it"));
        }
        match &self.format {
            RedisFormat::PubSub => Ok(Format::PubSub(Serializer::pubsub(self.serializer, keys))),
            RedisFormat::Core(core) => core.options(self.serializer, keys).map(Format::Core),
        }
    }

    /// Everything that a node is made of.
    pub(super) fn checked(self, prefix: &str) -> Result<Checked, ClusterError> {
        if self.hosts.is_empty() {
            return Err(ClusterError::NoHosts);
        }
        Naming::check_prefix(prefix).map_err(|reason| ClusterError::RedisOption {
            option: "prefix".to_owned(),
            reason: format!("{reason}: {prefix:?}"),
        })?;
        let format = self.wire_format()?;
        if Handle::try_current().is_err() {
            return Err(ClusterError::NoRuntime);
        }
        Ok(Checked {
            format,
            members: match self.format {
                RedisFormat::PubSub => MembershipMode::PerNode,
                RedisFormat::Core(core) => core.members,
            },
            hosts: self.hosts,
            pace: self.pace,
        })
    }
}

impl fmt::Debug for RedisLayer {
    /// Keys are secrets: only how many there are is shown.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("RedisLayer")
            .field("hosts", &self.hosts)
            .field("serializer", &self.serializer)
            .field("keys", &self.symmetric_encryption_keys.len())
            .field("format", &self.format)
            .field("pace", &self.pace)
            .finish()
    }
}

impl Default for CoreFormat {
    fn default() -> Self {
        Self {
            capacity: 100,
            channel_capacity: Vec::new(),
            node_capacity: 10_000,
            expiry: Duration::from_secs(60),
            group_expiry: Duration::from_secs(86_400),
            random_prefix_length: 12,
            members: MembershipMode::PerNode,
        }
    }
}

impl CoreFormat {
    fn options(&self, notation: Notation, keys: &[String]) -> Result<CoreOptions, ClusterError> {
        whole_seconds("expiry", self.expiry)?;
        whole_seconds("group_expiry", self.group_expiry)?;
        let prefix = usize::from(self.random_prefix_length);
        Ok(CoreOptions {
            serializer: Serializer::core(notation, keys, prefix, self.expiry),
            capacity: self.capacities()?,
            expiry: self.expiry,
            group_expiry: self.group_expiry,
            per_session: self.members == MembershipMode::PerSession,
        })
    }

    fn capacities(&self) -> Result<Capacities, ClusterError> {
        const NONE: &str = "must be at least 1, or nothing could be sent";
        if self.capacity == 0 {
            return Err(refused("capacity", NONE));
        }
        if self.node_capacity == 0 {
            return Err(refused("node_capacity", NONE));
        }
        let patterns = &self.channel_capacity;
        if let Some(index) = patterns.iter().position(|(_, capacity)| *capacity == 0) {
            return Err(refused(format!("channel_capacity[{index}]"), NONE));
        }
        let capacities = Capacities::new(self.capacity, patterns);
        let capacities = capacities.map_err(|error| {
            let place = (patterns.iter()).position(|(pattern, _)| *pattern == error.pattern);
            let option = format!("channel_capacity[{}]", place.unwrap_or_default());
            refused(
                option,
                format!(
                    "has the pattern {:?}, which cannot be used: {}",
                    error.pattern, error.reason
                ),
            )
        })?;
        Ok(capacities.of_nodes(self.node_capacity))
    }
}

/// Redis counts lifetimes in seconds.
fn whole_seconds(option: &str, time: Duration) -> Result<(), ClusterError> {
    if time.is_zero() || time.subsec_nanos() != 0 {
        return Err(refused(option, "must be whole seconds, and at least one"));
    }
    Ok(())
}

fn refused(option: impl Into<String>, reason: impl Into<String>) -> ClusterError {
    ClusterError::RedisOption {
        option: option.into(),
        reason: reason.into(),
    }
}
