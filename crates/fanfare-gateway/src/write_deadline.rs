//! The deadline of a write: an answer that nobody reads keeps its connection for so long.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

/// How long a connection may make no progress with what it has to send.
pub(crate) struct WriteDeadline {
    /// Zero is no limit.
    limit: Duration,
    /// While the socket is full.
    timer: Option<Pin<Box<Sleep>>>,
}

impl WriteDeadline {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, timer: None }
    }

    /// The socket has taken something.
    pub(crate) fn progressed(&mut self) {
        self.timer = None;
    }

    /// The socket is full: ready when it has been so for too long.
    pub(crate) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.limit.is_zero() {
            return Poll::Pending;
        }
        let limit = self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(limit)));
        timer.as_mut().poll(cx)
    }
}
