//! What becomes of a publish.

use fanfare_protocol::{ChannelName, SerializeError};
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

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
