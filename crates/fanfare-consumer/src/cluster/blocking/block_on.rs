//! Waiting for a future on a thread that has no runtime.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::cluster::SendError;

/// Refuses threads that are running async code: what is waited for may need them.
pub(super) fn may_block() -> Result<(), SendError> {
    if Handle::try_current().is_err() {
        return Ok(());
    }
    // Threads of `spawn_blocking` belong to a runtime too and may block. Only tokio knows which is
    // which, and tells by a panic.
    let (answer, answered) = oneshot::channel();
    // The receiver is there.
    let _sent = answer.send(());
    match catch_unwind(AssertUnwindSafe(|| answered.blocking_recv())) {
        Ok(_) => Ok(()),
        Err(_panic) => Err(SendError::Async),
    }
}

/// Waits for a future that needs no runtime to be polled.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        thread::park();
    }
}

/// The same; `None` when it takes longer.
pub(super) fn block_until<F: Future>(future: F, deadline: Instant) -> Option<F::Output> {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        thread::park_timeout(left);
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
