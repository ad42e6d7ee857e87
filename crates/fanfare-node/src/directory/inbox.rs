//! A worker's inbox: deliveries on their way to its registry.
//!
//! The queue lives outside the registry actor, so a registry that panics loses nothing of it. It is
//! bounded twice, in number and in bytes: a publisher of this node waits above the first bound, and
//! what comes from other nodes, which waits for nobody, is dropped above the second, wider one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use fanfare_layer::{Account, Delivery, MemoryBudget, MemoryUse};
use fanfare_protocol::{ChannelName, GroupName};
use futures_util::future::BoxFuture;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use super::relief::Relief;

/// What another thread wants to know of a worker; answered between two turns of its fan-out.
pub(crate) enum Question {
    /// The channels of a group's members.
    Channels {
        group: GroupName,
        answer: oneshot::Sender<Vec<ChannelName>>,
    },
    /// Whose session has this channel: outside `None` if no session has it, inside if it is nobody's.
    User {
        channel: ChannelName,
        answer: oneshot::Sender<Option<Option<String>>>,
    },
}

/// How much may wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InboxBounds {
    /// Deliveries, before publishers of this node wait.
    pub(crate) frames: usize,
    /// Bytes of their events.
    pub(crate) bytes: usize,
    /// Deliveries, before those from other nodes are dropped.
    pub(crate) handoff_frames: usize,
    /// Bytes of their events.
    pub(crate) handoff_bytes: usize,
}

/// Why a delivery was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unqueued {
    /// There is no room for it.
    Full,
    /// The worker thread has ended, and with it its sessions.
    Ended,
}

/// Deliveries in their order, each with the bytes that it counts for.
struct Waiting {
    deliveries: VecDeque<(Delivery, usize)>,
    bytes: usize,
    /// Tells the node's budget of these bytes.
    account: Account,
}

/// What waits for one worker's registry.
pub(crate) struct Inbox {
    queue: Mutex<Waiting>,
    /// At most one from the node and one from each reader of the layer. `None` once the worker has
    /// stopped: later questions are dropped at once.
    questions: Mutex<Option<Vec<Question>>>,
    asked: AtomicBool,
    /// Length of the queue, readable without its lock.
    len: AtomicUsize,
    /// Bytes in the queue, readable without its lock.
    bytes: AtomicUsize,
    bounds: InboxBounds,
    /// The worker thread has ended: nothing is taken. Changed under the queue's lock.
    closed: AtomicBool,
    /// Something was dropped since the queue was last empty: that is logged once.
    overflowed: AtomicBool,
    registry: AtomicWaker,
    room: Notify,
    /// Somebody waits for room.
    awaited: AtomicBool,
    pub(super) relief: Relief,
}

impl Inbox {
    pub(crate) fn new(bounds: InboxBounds, memory: &MemoryBudget) -> Self {
        let queue = Waiting {
            deliveries: VecDeque::new(),
            bytes: 0,
            account: memory.account(MemoryUse::Inboxes),
        };
        Self {
            queue: Mutex::new(queue),
            relief: Relief::default(),
            questions: Mutex::new(Some(Vec::new())),
            asked: AtomicBool::new(false),
            len: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            bounds,
            closed: AtomicBool::new(false),
            overflowed: AtomicBool::new(false),
            registry: AtomicWaker::new(),
            room: Notify::new(),
            awaited: AtomicBool::new(false),
        }
    }

    /// Whether a publisher of this node need not wait. One event alone always finds room.
    pub(crate) fn has_room(&self) -> bool {
        self.len.load(Ordering::Acquire) < self.bounds.frames
            && self.bytes.load(Ordering::Acquire) < self.bounds.bytes
    }

    /// Appends a delivery whose event keeps about `bytes` in memory; the caller has looked for
    /// room. Publishers of different groups look at the same time, so the queue may pass its bounds
    /// by as many deliveries as there are worker threads.
    pub(crate) fn push(&self, delivery: Delivery, bytes: usize) -> Result<(), Unqueued> {
        let mut queue = self.queue.lock();
        if self.is_closed() {
            return Err(Unqueued::Ended);
        }
        self.append(&mut queue, delivery, bytes);
        drop(queue);
        self.registry.wake();
        Ok(())
    }

    /// Appends a delivery from another node, if there is room for it.
    pub(crate) fn hand_off(&self, delivery: Delivery, bytes: usize) -> Result<(), Unqueued> {
        let mut queue = self.queue.lock();
        if self.is_closed() {
            return Err(Unqueued::Ended);
        }
        let full = queue.deliveries.len() >= self.bounds.handoff_frames
            || queue.bytes.saturating_add(bytes) > self.bounds.handoff_bytes;
        if full && !queue.deliveries.is_empty() {
            drop(queue);
            if !self.overflowed.swap(true, Ordering::AcqRel) {
                tracing::warn!(
                    "a worker thread is behind: events from other nodes are dropped for its sessions"
                );
            }
            return Err(Unqueued::Full);
        }
        self.append(&mut queue, delivery, bytes);
        drop(queue);
        self.registry.wake();
        Ok(())
    }

    fn append(&self, queue: &mut Waiting, delivery: Delivery, bytes: usize) {
        queue.deliveries.push_back((delivery, bytes));
        queue.bytes += bytes;
        queue.account.set(queue.bytes);
        self.len.store(queue.deliveries.len(), Ordering::Release);
        self.bytes.store(queue.bytes, Ordering::Release);
    }

    /// How long the delivery in front has been on this node; zero when none waits.
    pub(crate) fn oldest(&self, now: Instant) -> Duration {
        let queue = self.queue.lock();
        let front = queue.deliveries.front();
        front.map_or(Duration::ZERO, |(delivery, _)| {
            now.saturating_duration_since(delivery.arrived)
        })
    }

    pub(crate) fn ask(&self, question: Question) {
        match &mut *self.questions.lock() {
            Some(questions) => questions.push(question),
            None => return,
        }
        self.asked.store(true, Ordering::Release);
        self.registry.wake();
    }

    pub(crate) fn questions(&self) -> Vec<Question> {
        if self.asked.swap(false, Ordering::AcqRel) {
            let mut questions = self.questions.lock();
            questions.as_mut().map(std::mem::take).unwrap_or_default()
        } else {
            Vec::new()
        }
    }

    /// For the next worker thread with this number.
    pub(crate) fn open(&self) {
        let queue = self.queue.lock();
        self.closed.store(false, Ordering::Release);
        drop(queue);
        self.questions.lock().get_or_insert_default();
    }

    /// The worker thread has ended: nobody is kept waiting, for room or for an answer. Answers how
    /// many deliveries were lost.
    pub(crate) fn close(&self) -> usize {
        let mut queue = self.queue.lock();
        self.closed.store(true, Ordering::Release);
        queue.bytes = 0;
        queue.account.set(0);
        self.relief.weigh(0);
        let lost = std::mem::take(&mut queue.deliveries);
        self.len.store(0, Ordering::Release);
        self.bytes.store(0, Ordering::Release);
        self.overflowed.store(false, Ordering::Release);
        drop(queue);
        self.awaited.store(false, Ordering::Release);
        self.room.notify_waiters();
        let unanswered = self.questions.lock().take();
        drop(unanswered);
        self.registry.wake();
        lost.len()
    }

    /// Whether the worker thread has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(crate) fn pop(&self) -> Option<Delivery> {
        let mut guard = self.queue.lock();
        let queue = &mut *guard;
        let (delivery, taken) = queue.deliveries.pop_front()?;
        queue.bytes = queue.bytes.saturating_sub(taken);
        queue.account.set(queue.bytes);
        let (len, bytes) = (queue.deliveries.len(), queue.bytes);
        if len == 0 {
            self.overflowed.store(false, Ordering::Release);
            if queue.deliveries.capacity() > 1024 {
                queue.deliveries.shrink_to(64);
            }
        }
        self.len.store(len, Ordering::Release);
        self.bytes.store(bytes, Ordering::Release);
        drop(guard);
        let has_room = len * 2 <= self.bounds.frames && bytes * 2 <= self.bounds.bytes;
        if has_room && self.awaited.swap(false, Ordering::AcqRel) {
            self.room.notify_waiters();
        }
        Some(delivery)
    }

    /// Whether something is in the queue or has been asked.
    pub(crate) fn has_work(&self) -> bool {
        self.len.load(Ordering::Acquire) > 0
            || self.asked.load(Ordering::Acquire)
            || self.relief.is_asked()
    }

    /// Wakes the registry.
    pub(super) fn wake(&self) {
        self.registry.wake();
    }

    /// Ready when something is in the queue or has been asked.
    pub(crate) fn poll_filled(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.has_work() {
            return Poll::Ready(());
        }
        self.registry.register(context.waker());
        if self.has_work() {
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
                let queue = inbox.queue.lock();
                let has_room = inbox.has_room();
                drop(queue);
                if has_room {
                    return;
                }
                notified.await;
            }
        })
    }
}

#[cfg(test)]
#[path = "inbox_tests.rs"]
mod tests;
