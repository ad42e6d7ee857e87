//! The seam between "publish" and "deliver".

use std::sync::Arc;
use std::time::Instant;

use fanfare_protocol::{ChannelName, Envelope, GroupName, Target};
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use tokio::sync::watch;

use crate::control::ControlChannel;
use crate::lease::LeaseStore;
use crate::publish::Publish;
use crate::sink::Delivery;

/// What a node asks its layer to bring.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subscription {
    /// The events of a group that has members on this node.
    Group(GroupName),
    /// The messages of a normal channel that is received from on this node.
    Channel(ChannelName),
    /// The events of a group for one session, which is in the group under its own name. Only for
    /// a layer that keeps memberships where others can take them back. One pointer: a layer may have
    /// as many subscriptions as a node has groups.
    SessionInGroup(Arc<(GroupName, ChannelName)>),
}

impl Subscription {
    /// A [`Self::SessionInGroup`].
    pub fn session_in_group(group: GroupName, channel: ChannelName) -> Self {
        Self::SessionInGroup(Arc::new((group, channel)))
    }
}

/// Why a subscription is not in place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the layer did not acknowledge the subscription: {0}")]
pub struct SubscribeError(pub String);

/// How a layer is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Has not answered yet since the start.
    Connecting,
    /// Answers.
    Up,
    /// Answered once and does not now.
    Down,
}

/// A layer's state and since when.
#[derive(Debug, Clone)]
pub struct Status {
    /// The state.
    pub state: State,
    /// When it was entered.
    pub since: Instant,
    /// Why the layer is not up, as the latest attempt found it: cut at 200 characters, without
    /// secrets.
    pub reason: Option<Arc<str>>,
}

impl Status {
    /// A state that is entered now.
    pub fn new(state: State) -> Self {
        Self {
            state,
            since: Instant::now(),
            reason: None,
        }
    }
}

/// The seam: memory and Redis behind one surface, and one conformance suite for both.
pub trait ChannelLayer: Send + Sync + 'static {
    /// Publishes to a target. Never blocks, and keeps the order of calls per target.
    fn publish(&self, target: Target, envelope: Arc<Envelope>) -> Publish;

    /// Subscribes this node; resolves when every subscription is acknowledged.
    /// What is wanted is noted at the call, so the order of calls counts. After a lost connection
    /// the layer resubscribes by itself. The channels of this node's sessions need no subscription.
    fn subscribe(
        &self,
        subscriptions: Vec<Subscription>,
    ) -> BoxFuture<'static, Result<(), SubscribeError>>;

    /// Takes subscriptions back; noted at the call too.
    fn unsubscribe(
        &self,
        subscriptions: Vec<Subscription>,
    ) -> BoxFuture<'static, Result<(), SubscribeError>>;

    /// Says that a receiver waits for one message of a normal channel that is subscribed. A layer
    /// whose channels are shared between processes fetches one then; to others it says nothing.
    fn pull(&self, _channel: &ChannelName) {}

    /// What arrives for this node, in batches. Every stream of a layer drains the same bounded
    /// queue, so a reader that died is followed by another without a loss. Pending forever on a
    /// layer that delivers at publish.
    fn stream(&self) -> BoxStream<'static, Vec<Delivery>>;

    /// The state, and every change of it.
    fn status(&self) -> watch::Receiver<Status>;

    /// Where this node and the others send each other commands.
    fn control(&self) -> Arc<dyn ControlChannel>;

    /// The leases that the nodes of the layer share.
    fn leases(&self) -> Arc<dyn LeaseStore>;

    /// Takes back every subscription and ends the connections.
    fn close(&self) -> BoxFuture<'static, ()>;
}
