//! The cluster handle, with which any part of a program publishes.

pub mod blocking;
mod error;
mod extract;
mod lease;
mod local;
mod options;
mod posting;
#[cfg(feature = "redis")]
mod redis;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fanfare_layer::State;
pub use fanfare_node::ClusterCount;
use fanfare_node::Node;
use fanfare_protocol::{ChannelName, CloseCode, Envelope, GroupName, Target};
use fanfare_web::Address;
use prometheus::Registry;
use serde::Serialize;

use crate::metrics::ConsumerMetrics;

pub use error::{AskError, ClusterError, GroupError, SendError};
pub use extract::cluster_of;
pub use lease::{Claim, InvalidLease, Lease};
pub use local::Local;
pub use options::{ClusterOptions, Layer};
use posting::Posting;
pub(crate) use posting::joinable;
#[cfg(feature = "redis")]
pub use redis::{CoreFormat, RedisFormat, RedisLayer};

/// How long other nodes may take to answer.
const ANSWER_TIME: Duration = Duration::from_secs(1);

/// A handle on the cluster, to publish with. Clones are cheap and work on any thread and in any
/// async runtime.
///
/// It publishes to groups, channels, users and everyone, on all nodes. HTTP handlers get it as an
/// extractor. Threads that are not async use [`blocking`](Self::blocking). A program that only
/// publishes needs no server.
///
/// Publishing returns when the layer has accepted the event. It fails at once while the layer is
/// lost. If the layer has not answered since the start, publishing waits for it, at most
/// [`ClusterOptions::join_timeout`].
///
/// ```
/// use fanfare_consumer::Cluster;
/// use serde::Serialize;
///
/// #[derive(Serialize)]
/// #[serde(tag = "type")]
/// enum News {
///     #[serde(rename = "news.flash")]
///     Flash { text: String },
/// }
///
/// # async fn publish() -> Result<(), Box<dyn std::error::Error>> {
/// let cluster = Cluster::memory()?;
/// cluster.broadcast(&News::Flash { text: "hello, everyone".to_owned() }).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Cluster {
    shared: Arc<Shared>,
}

struct Shared {
    node: Node,
    registry: Registry,
    metrics: Arc<ConsumerMetrics>,
    /// Set by the server.
    draining: Arc<AtomicBool>,
}

/// Making one.
impl Cluster {
    /// A cluster of this process alone. It needs no Redis.
    ///
    /// # Errors
    /// [`ClusterError::Random`].
    pub fn memory() -> Result<Self, ClusterError> {
        Self::new(ClusterOptions::default())
    }

    /// A cluster over Redis servers, given as URLs in the same order on every node. It connects in
    /// the background and retries. Its tasks run on the tokio runtime of the caller.
    ///
    /// # Errors
    /// [`ClusterError::Host`] for a URL that cannot be read, [`ClusterError::NoHosts`],
    /// [`ClusterError::NoRuntime`] outside of a tokio runtime, [`ClusterError::Random`].
    #[cfg(feature = "redis")]
    pub fn redis<I>(hosts: I) -> Result<Self, ClusterError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        Self::new(ClusterOptions {
            layer: Layer::redis(hosts)?,
            ..ClusterOptions::default()
        })
    }

    /// A cluster with these options.
    ///
    /// # Errors
    /// As [`Cluster::redis`], and [`ClusterError::Metrics`] when the registry has another cluster's
    /// metrics.
    pub fn new(options: ClusterOptions) -> Result<Self, ClusterError> {
        let registry = options.registry.clone();
        Self::of(options.node()?, &registry)
    }

    /// The cluster of a node that the program has created itself.
    ///
    /// # Errors
    /// [`ClusterError::Metrics`].
    pub fn of(node: Node, registry: &Registry) -> Result<Self, ClusterError> {
        let metrics = Arc::new(ConsumerMetrics::new(registry)?);
        let shared = Shared {
            node,
            registry: registry.clone(),
            metrics,
            draining: Arc::default(),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// The same cluster for threads that block: see [`blocking::Cluster`].
    pub fn blocking(&self) -> blocking::Cluster {
        blocking::Cluster::of(self.clone())
    }
}

/// Publishing. An event is anything that serializes as a map with a string `type`, usually an enum
/// with `#[serde(tag = "type")]`.
impl Cluster {
    /// Sends an event to the members of a group.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn group_send<E>(&self, group: &str, event: &E) -> Result<(), SendError>
    where
        E: Serialize + ?Sized,
    {
        self.post(Address::Group(group), event, &[]).await
    }

    /// Sends an event to the members of a group except those with these channels.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn group_send_except<E>(
        &self,
        group: &str,
        event: &E,
        except: &[ChannelName],
    ) -> Result<(), SendError>
    where
        E: Serialize + ?Sized,
    {
        self.post(Address::Group(group), event, except).await
    }

    /// Sends an event to one channel: a session's, or one that workers receive from.
    ///
    /// # Errors
    /// [`SendError`]; nobody having that channel is none.
    pub async fn send<E>(&self, channel: &str, event: &E) -> Result<(), SendError>
    where
        E: Serialize + ?Sized,
    {
        self.post(Address::Channel(channel), event, &[]).await
    }

    /// Sends an event to all sessions of a user.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send_to_user<E>(&self, user: &str, event: &E) -> Result<(), SendError>
    where
        E: Serialize + ?Sized,
    {
        self.post(Address::User(user), event, &[]).await
    }

    /// Sends an event to all sessions of all nodes.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn broadcast<E>(&self, event: &E) -> Result<(), SendError>
    where
        E: Serialize + ?Sized,
    {
        self.post(Address::Everyone, event, &[]).await
    }

    /// Closes all sessions of a user, on every node. The code is one of 1000, 1001, 1008, 1011 to
    /// 1013 and 3000 to 4999; a reason of more than 123 bytes is cut.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn disconnect_user(
        &self,
        user: &str,
        code: impl Into<CloseCode>,
        reason: &str,
    ) -> Result<(), SendError> {
        self.disconnect(Address::User(user), code.into(), reason)
            .await
    }

    /// Closes one session, wherever it is; code and reason as in
    /// [`disconnect_user`](Self::disconnect_user).
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn disconnect_channel(
        &self,
        channel: &str,
        code: impl Into<CloseCode>,
        reason: &str,
    ) -> Result<(), SendError> {
        self.disconnect(Address::Channel(channel), code.into(), reason)
            .await
    }

    /// Closes all members of a group, on every node; code and reason as in
    /// [`disconnect_user`](Self::disconnect_user). Everyone's group is `fanfare.all`.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn disconnect_group(
        &self,
        group: &str,
        code: impl Into<CloseCode>,
        reason: &str,
    ) -> Result<(), SendError> {
        self.disconnect(Address::Group(group), code.into(), reason)
            .await
    }

    /// Publishes an envelope unchanged, for programs that build envelopes themselves.
    ///
    /// # Errors
    /// [`SendError::Layer`].
    pub async fn publish(&self, target: Target, envelope: Arc<Envelope>) -> Result<(), SendError> {
        let node = &self.shared.node;
        let deadline = node.publish_deadline();
        self.layer_answers().await;
        let publish = node.publish(target, envelope).admitted(deadline).await?;
        Ok(publish.confirmed().await?)
    }

    async fn post<E>(
        &self,
        to: Address<'_>,
        event: &E,
        except: &[ChannelName],
    ) -> Result<(), SendError>
    where
        E: Serialize + ?Sized,
    {
        let posting = Posting::event(to, event, except, self.shared.node.naming())?;
        self.publish(posting.target, posting.envelope).await
    }

    async fn disconnect(
        &self,
        to: Address<'_>,
        code: CloseCode,
        reason: &str,
    ) -> Result<(), SendError> {
        let posting = Posting::close(to, code, reason, self.shared.node.naming())?;
        self.publish(posting.target, posting.envelope).await
    }

    /// A program may publish in its first line, before any connection is there.
    async fn layer_answers(&self) {
        let mut status = self.shared.node.layer().status();
        if status.borrow().state != State::Connecting {
            return;
        }
        let answered = status.wait_for(|status| status.state != State::Connecting);
        let limit = self.shared.node.options().join_timeout;
        // If it does not answer, publishing says what is wrong with it.
        let _late = tokio::time::timeout(limit, answered).await.is_err();
    }
}

/// What one of the nodes does.
impl Cluster {
    /// A claim that one node at a time holds: for a clock, or a job that one of the nodes does. The
    /// name is as that of a group. A holder that dies is followed by another node within `ttl`; some
    /// seconds are usual. The holder renews its claim three times in that time, and loses it if it
    /// does not reach the layer.
    ///
    /// Over Redis it is a key with an end. So two nodes may hold the lease for a moment if Redis
    /// loses its data or fails over to a replica: what must never happen twice needs a check of its
    /// own, in a database for example.
    ///
    /// # Errors
    /// [`InvalidLease`].
    pub fn lease(&self, name: &str, ttl: Duration) -> Result<Lease, InvalidLease> {
        Lease::new(name, ttl, self.clone())
    }
}

/// Asking all nodes.
impl Cluster {
    /// How many members a group has on all nodes. Nodes that are alive and do not answer within a
    /// second are named in the result.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn count(&self, group: &str) -> Result<ClusterCount, AskError> {
        let group = GroupName::parse(group)?;
        self.layer_answers().await;
        Ok(self
            .shared
            .node
            .count_everywhere(&group, ANSWER_TIME)
            .await?)
    }
}

/// Looking at this node.
impl Cluster {
    /// The part of the cluster that is this node: its sessions, its groups and their members.
    pub fn local(&self) -> Local<'_> {
        Local::new(&self.shared.node)
    }

    /// Whether the server of this node drains: it takes its last requests, and
    /// [`health::ready`](crate::health::ready) answers 503.
    pub fn is_draining(&self) -> bool {
        self.shared.draining.load(Ordering::Relaxed)
    }

    /// This node.
    pub fn node(&self) -> &Node {
        &self.shared.node
    }

    /// The registry with the metrics of the node.
    pub fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    /// The metrics of consumers and workers.
    pub fn metrics(&self) -> &Arc<ConsumerMetrics> {
        &self.shared.metrics
    }

    /// Gives back the leases of this node, removes every subscription and closes the layer's
    /// connections. Publishing fails from then on. A server calls this at the end of its drain.
    pub async fn close(&self) {
        self.shared.node.close().await;
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = out.debug_struct("Cluster");
        shown.field("node", &self.shared.node.id());
        shown.finish_non_exhaustive()
    }
}
