//! The cluster for code that blocks: plain threads, and programs without an async runtime.

mod block_on;
mod runtime;

use std::sync::Arc;
use std::time::Instant;

use fanfare_layer::{Publish, PublishError, State};
use fanfare_protocol::{ChannelName, CloseCode};
use fanfare_web::Address;
use prometheus::Registry;
use serde::Serialize;

use super::posting::Posting;
use super::{ClusterError, ClusterOptions, SendError};
use block_on::{block_on, block_until, may_block};
use runtime::Runtime;

/// A [`Cluster`](crate::Cluster) whose methods block until they are done; a cheap clone.
///
/// [`Cluster::blocking`](crate::Cluster::blocking) makes one inside a server, for threads that may
/// block, such as those of `web::block`. A program without an async runtime makes its own with
/// [`redis`](Self::redis):
///
/// ```no_run
/// use fanfare_consumer::blocking::Cluster;
/// use serde_json::json;
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let cluster = Cluster::redis(["redis://localhost:6379"])?;
///     cluster.group_send("news", &json!({"type": "news.flash", "text": "hello"}))?;
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Cluster {
    cluster: crate::Cluster,
    /// Present when nobody else keeps the layer running; the last clone ends it.
    _runtime: Option<Arc<Runtime>>,
}

impl Cluster {
    pub(super) fn of(cluster: crate::Cluster) -> Self {
        Self {
            cluster,
            _runtime: None,
        }
    }

    /// A cluster over Redis servers, with a background thread. Dropping the last clone ends the
    /// thread, which takes at most two seconds. Redis has received everything that was published
    /// before.
    ///
    /// # Errors
    /// [`ClusterError`], as of [`Cluster::redis`](crate::Cluster::redis), and
    /// [`ClusterError::Thread`].
    #[cfg(feature = "redis")]
    pub fn redis<I>(hosts: I) -> Result<Self, ClusterError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        Self::new(ClusterOptions {
            layer: super::Layer::redis(hosts)?,
            ..ClusterOptions::default()
        })
    }

    /// A cluster with these options and a background thread.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub fn new(options: ClusterOptions) -> Result<Self, ClusterError> {
        let (runtime, cluster) = Runtime::start(options)?;
        Ok(Self {
            cluster,
            _runtime: Some(Arc::new(runtime)),
        })
    }

    /// The async handle. If this cluster has a background thread, the handle works as long as a
    /// clone of this cluster exists.
    pub fn cluster(&self) -> &crate::Cluster {
        &self.cluster
    }
}

/// Publishing, as with the async [`Cluster`](crate::Cluster).
impl Cluster {
    /// Sends an event to the members of a group.
    ///
    /// # Errors
    /// [`SendError`]. All methods that publish return [`SendError::Async`] when they are called
    /// from async code.
    pub fn group_send<E>(&self, group: &str, event: &E) -> Result<(), SendError>
    where
        E: Serialize + ?Sized,
    {
        self.post(Address::Group(group), event, &[])
    }

    /// Sends an event to the members of a group except those with these channels.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn group_send_except<E>(
        &self,
        group: &str,
        event: &E,
        except: &[ChannelName],
    ) -> Result<(), SendError>
    where
        E: Serialize + ?Sized,
    {
        self.post(Address::Group(group), event, except)
    }

    /// Sends an event to one channel: a session's, or one that workers receive from.
    ///
    /// # Errors
    /// [`SendError`]; nobody having that channel is none.
    pub fn send<E>(&self, channel: &str, event: &E) -> Result<(), SendError>
    where
        E: Serialize + ?Sized,
    {
        self.post(Address::Channel(channel), event, &[])
    }

    /// Sends an event to all sessions of a user.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn send_to_user<E>(&self, user: &str, event: &E) -> Result<(), SendError>
    where
        E: Serialize + ?Sized,
    {
        self.post(Address::User(user), event, &[])
    }

    /// Sends an event to all sessions of all nodes.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn broadcast<E>(&self, event: &E) -> Result<(), SendError>
    where
        E: Serialize + ?Sized,
    {
        self.post(Address::Everyone, event, &[])
    }

    /// Closes all sessions of a user, on every node; see
    /// [`disconnect_user`](crate::Cluster::disconnect_user).
    ///
    /// # Errors
    /// [`SendError`].
    pub fn disconnect_user(
        &self,
        user: &str,
        code: impl Into<CloseCode>,
        reason: &str,
    ) -> Result<(), SendError> {
        self.disconnect(Address::User(user), code.into(), reason)
    }

    /// Closes one session, wherever it is.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn disconnect_channel(
        &self,
        channel: &str,
        code: impl Into<CloseCode>,
        reason: &str,
    ) -> Result<(), SendError> {
        self.disconnect(Address::Channel(channel), code.into(), reason)
    }

    /// Closes all members of a group, on every node.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn disconnect_group(
        &self,
        group: &str,
        code: impl Into<CloseCode>,
        reason: &str,
    ) -> Result<(), SendError> {
        self.disconnect(Address::Group(group), code.into(), reason)
    }

    fn post<E>(&self, to: Address<'_>, event: &E, except: &[ChannelName]) -> Result<(), SendError>
    where
        E: Serialize + ?Sized,
    {
        let naming = self.cluster.node().naming();
        self.publish(Posting::event(to, event, except, naming)?)
    }

    fn disconnect(&self, to: Address<'_>, code: CloseCode, reason: &str) -> Result<(), SendError> {
        let naming = self.cluster.node().naming();
        self.publish(Posting::close(to, code, reason, naming)?)
    }

    fn publish(&self, posting: Posting) -> Result<(), SendError> {
        may_block()?;
        let node = self.cluster.node();
        let deadline = Instant::now() + node.options().publish_timeout;
        self.layer_answers();
        let mut step = node.publish(posting.target, posting.envelope);
        while let Publish::Full(room) = step {
            step = block_until(room, deadline).ok_or(PublishError::NoRoom)?;
        }
        Ok(block_on(step.confirmed())?)
    }

    /// As [`crate::Cluster`] does it, without a timer, which would need a runtime.
    fn layer_answers(&self) {
        let node = self.cluster.node();
        let mut status = node.layer().status();
        if status.borrow().state == State::Connecting {
            let answered = status.wait_for(|status| status.state != State::Connecting);
            let deadline = Instant::now() + node.options().join_timeout;
            // If it does not answer, publishing says what is wrong with it.
            let _late = block_until(answered, deadline).is_none();
        }
    }
}

/// Looking at this node.
impl Cluster {
    /// The channels of a group's members on this node, in no particular order. For calls that do
    /// not block see [`local`](crate::Cluster::local) of [`cluster`](Self::cluster).
    ///
    /// # Errors
    /// [`SendError::Name`], [`SendError::Async`].
    pub fn local_members(&self, group: &str) -> Result<Vec<ChannelName>, SendError> {
        may_block()?;
        Ok(block_on(self.cluster.local().members(group))?)
    }

    /// The registry with the metrics of the node.
    pub fn registry(&self) -> &Registry {
        self.cluster.registry()
    }
}
