//! A worker's inbox: deliveries on their way to its registry.
//!
//! The queue lives outside the registry actor, so a registry that panics loses nothing of it, and
//! it is bounded: a publisher that finds it full waits.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use fanfare_layer::Delivery;
use futures_util::future::BoxFuture;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// See the module.
pub(crate) struct Inbox {
    queue: Mutex<VecDeque<Delivery>>,
    /// Length of the queue, readable without its lock.
    len: AtomicUsize,
    capacity: usize,
    registry: AtomicWaker,
    room: Notify,
    /// Somebody waits for room.
    awaited: AtomicBool,
}

impl Inbox {
    /// `capacity` is `limits.inbox_frames`.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            queue: Mutex::new(VecDeque::new()),
            len: AtomicUsize::new(0),
            capacity,
            registry: AtomicWaker::new(),
            room: Notify::new(),
            awaited: AtomicBool::new(false),
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        self.len.load(Ordering::Acquire) < self.capacity
    }

    /// Appends; the caller has looked for room. Publishers of different groups look at the same
    /// time, so the queue may pass its capacity by as many as there are worker threads.
    pub(crate) fn push(&self, delivery: Delivery) {
        let mut queue = self.queue.lock();
        queue.push_back(delivery);
        self.len.store(queue.len(), Ordering::Release);
        drop(queue);
        self.registry.wake();
    }

    pub(crate) fn pop(&self) -> Option<Delivery> {
        let mut queue = self.queue.lock();
        let delivery = queue.pop_front();
        let len = queue.len();
        if len == 0 && queue.capacity() > 1024 {
            queue.shrink_to(64);
        }
        self.len.store(len, Ordering::Release);
        drop(queue);
        if len * 2 <= self.capacity && self.awaited.swap(false, Ordering::AcqRel) {
            self.room.notify_waiters();
        }
        delivery
    }

    /// Ready when something is in the queue.
    pub(crate) fn poll_filled(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.len.load(Ordering::Acquire) > 0 {
            return Poll::Ready(());
        }
        self.registry.register(context.waker());
        if self.len.load(Ordering::Acquire) > 0 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Resolves when there is room.
    pub(crate) fn room(self: &Arc<Self>) -> BoxFuture<'static, ()> {
        let inbox = Arc::clone(self);
        Box::pin(async move {
            loop {
                let notified = inbox.room.notified();
                inbox.awaited.store(true, Ordering::Release);
                // Under the lock: whoever takes from the queue afterwards sees that it is awaited.
                let full = inbox.queue.lock().len() >= inbox.capacity;
                if !full {
                    return;
                }
                notified.await;
            }
        })
    }
}
