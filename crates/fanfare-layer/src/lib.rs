//! The channel layer: the seam between "publish" and "deliver".
//!
//! A layer takes an [`Envelope`] for a [`Target`] and brings it to every node that has members:
//! the memory layer at once, on the publisher's thread, into a [`Sink`]; the Redis layer through
//! Redis and back out of [`ChannelLayer::stream`]. What is for a normal channel, the address of
//! workers, waits for them in a [`ChannelQueue`]. This crate knows no actix, no sockets and no
//! sessions; what a delivery means is the sink's business.

mod memory;
mod metrics;
mod queue;
#[cfg(feature = "redis")]
pub mod redis;

use std::sync::Arc;
use std::time::Instant;

use fanfare_protocol::{ChannelName, Envelope, GroupName, SerializeError, Target};
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use tokio::sync::{oneshot, watch};

pub use memory::MemoryLayer;
pub use metrics::LayerMetrics;
pub use queue::{ChannelFull, ChannelQueue, QueueOptions, Receiver};

/// An envelope that has arrived at this node.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Whom it is for.
    pub target: Target,
    /// What arrived; decoded once, shared by every worker thread.
    pub envelope: Arc<Envelope>,
    /// When it came out of the layer's stream or was published here.
    pub arrived: Instant,
}

/// What a node asks its layer to bring.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subscription {
    /// The events of a group that has members on this node.
    Group(GroupName),
    /// The messages of a normal channel that is received from on this node.
    Channel(ChannelName),
    /// The events of a group for one session, which is in the group under its own name. Only for
    /// a layer that keeps memberships where others can take them back.
    SessionInGroup {
        /// The group.
        group: GroupName,
        /// The session.
        channel: ChannelName,
    },
}

/// How a session of this node stands to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// There is no such session (any more).
    Gone,
    /// The session has joined the group on this node.
    Member,
    /// The session is there and has not joined the group on this node.
    Guest,
}

/// The node's side of a layer: its directory.
pub trait Sink: Send + Sync + 'static {
    /// Hands a delivery to every worker that has members, in one order per target, or to none.
    ///
    /// # Errors
    /// [`Undelivered`]; nothing was handed over then.
    fn deliver(&self, delivery: Delivery) -> Result<(), Undelivered>;

    /// How sessions of this node stand to groups, one answer for each pair, in order.
    fn presence(&self, pairs: Vec<(GroupName, ChannelName)>) -> BoxFuture<'static, Vec<Presence>>;
}

/// Why a sink did not take a delivery.
pub enum Undelivered {
    /// For now: it is worth waiting.
    Full(Full),
    /// For good: those who receive from a channel are too slow, and nobody waits for them.
    ChannelFull(ChannelFull),
}

/// A worker's inbox has no room.
pub struct Full {
    /// The delivery, back.
    pub delivery: Delivery,
    /// Resolves when it is worth trying again.
    pub room: BoxFuture<'static, ()>,
}

/// Why an envelope was not published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The layer is unreachable; nothing was sent.
    #[error("the layer is unreachable: {0}")]
    Down(String),
    /// The connection broke before the layer answered; it may or may not have been sent.
    #[error("the layer did not answer: {0}")]
    Unanswered(String),
    /// The layer is closed: the node is shutting down.
    #[error("the layer is closed")]
    Closed,
    /// As many messages as may wait for this channel already; nothing was sent.
    #[error("channel {channel} is full: its messages are not received as fast as they are sent")]
    ChannelFull {
        /// Whose queue it is.
        channel: ChannelName,
    },
    /// The layer's serializer has no notation for a value in the event; nothing was sent.
    #[error(transparent)]
    Unserializable(#[from] SerializeError),
}

/// Why a subscription is not in place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the layer did not acknowledge the subscription: {0}")]
pub struct SubscribeError(pub String);

/// The progress of one publish.
pub enum Publish {
    /// Taken by the layer, or refused.
    Done(Result<(), PublishError>),
    /// In the layer's pipeline, in order; the answer follows. A caller that does not care drops
    /// the receiver: failures are counted by the layer all the same.
    Sent(oneshot::Receiver<Result<(), PublishError>>),
    /// The pipeline is full. Await it, and send nothing else meanwhile if order matters.
    Full(BoxFuture<'static, Publish>),
}

impl Publish {
    /// Waits for the layer's answer.
    ///
    /// # Errors
    /// [`PublishError`].
    pub async fn confirmed(self) -> Result<(), PublishError> {
        let mut step = self;
        loop {
            step = match step {
                Self::Done(outcome) => return outcome,
                Self::Sent(answer) => return answer.await.unwrap_or(Err(PublishError::Closed)),
                Self::Full(room) => room.await,
            };
        }
    }
}

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
#[derive(Debug, Clone, Copy)]
pub struct Status {
    /// The state.
    pub state: State,
    /// When it was entered.
    pub since: Instant,
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

    /// Takes back every subscription and ends the connections.
    fn close(&self) -> BoxFuture<'static, ()>;
}
