//! What becomes of a publish.

use std::time::Instant;

use fanfare_protocol::{ChannelName, SerializeError};
use futures_timer::Delay;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Either, select};
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
    /// What is published here waits for somebody who does not keep up, and did so for as long as a
    /// publish may take; nothing was sent.
    #[error(
        "there was no room for the event in time, because a worker thread of this node or Redis does \
         not keep up; it was not published"
    )]
    NoRoom,
    /// The node keeps as much as it may for what waits; nothing was sent.
    #[error("the node is short of memory, so the event was not published")]
    NoMemory,
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
    /// Waits for room, until the deadline; needs no runtime. The event is in the layer's pipeline
    /// then.
    ///
    /// # Errors
    /// [`PublishError::NoRoom`].
    pub async fn admitted(mut self, deadline: Instant) -> Result<Self, PublishError> {
        while let Self::Full(room) = self {
            let left = deadline.saturating_duration_since(Instant::now());
            let step = match select(room, Delay::new(left)).await {
                Either::Left((step, _)) => Some(step),
                // With no time left the delay is there at once: one look is always taken.
                Either::Right(((), room)) => room.now_or_never(),
            };
            self = step.ok_or(PublishError::NoRoom)?;
        }
        Ok(self)
    }

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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::{pending, ready};

    use super::*;

    fn full(step: Publish) -> Publish {
        Publish::Full(ready(step).boxed())
    }

    fn never() -> Publish {
        Publish::Full(pending().boxed())
    }

    #[tokio::test]
    async fn who_waits_for_room_gives_up_at_the_deadline_and_not_before() {
        let limit = Duration::from_millis(50);
        for step in [never(), full(full(never()))] {
            let began = Instant::now();
            let outcome = step.admitted(began + limit).await;
            assert!(matches!(outcome, Err(PublishError::NoRoom)));
            assert!(began.elapsed() >= limit);
        }
    }

    #[tokio::test]
    async fn what_need_not_wait_is_admitted_after_the_deadline_too() {
        let (_kept, answer) = oneshot::channel();
        let past = Instant::now();
        let sent = full(full(Publish::Sent(answer))).admitted(past).await;
        assert!(matches!(sent, Ok(Publish::Sent(_))));
        let done = full(Publish::Done(Err(PublishError::Closed)))
            .admitted(past)
            .await;
        assert!(matches!(done, Ok(Publish::Done(Err(PublishError::Closed)))));
        let outcome = never().admitted(past).await;
        assert!(matches!(outcome, Err(PublishError::NoRoom)));
    }
}
