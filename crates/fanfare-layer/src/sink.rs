//! What arrives from a layer, and who takes it.

use std::sync::Arc;
use std::time::Instant;

use fanfare_protocol::{ChannelName, Envelope, Target};
use futures_util::future::BoxFuture;

use crate::publish::PublishError;

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

/// The node's side of a layer: its directory.
pub trait Sink: Send + Sync + 'static {
    /// Hands a delivery to every worker that has members, in one order per target, or to none.
    ///
    /// # Errors
    /// [`Undelivered`]; nothing was handed over then.
    fn deliver(&self, delivery: Delivery) -> Result<(), Undelivered>;
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

/// The queue of a channel has no room for a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("channel {channel} is full")]
pub struct ChannelFull {
    /// Whose queue it is.
    pub channel: ChannelName,
}

impl From<ChannelFull> for PublishError {
    fn from(ChannelFull { channel }: ChannelFull) -> Self {
        Self::ChannelFull { channel }
    }
}
