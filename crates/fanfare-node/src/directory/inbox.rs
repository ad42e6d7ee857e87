//! A worker's inbox: deliveries on their way to its registry.
//!
//! The queue lives outside the registry actor, so a registry that panics loses nothing of it, and
//! it is bounded: a publisher that finds it full waits.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use fanfare_layer::{Delivery, Presence};
use fanfare_protocol::{ChannelName, GroupName};
use futures_util::future::BoxFuture;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use super::presence::Pair;

/// What another thread wants to know of a worker; answered between two turns of its fan-out.
pub(crate) enum Question {
    /// The channels of a group's members.
    Channels {
        group: GroupName,
        answer: oneshot::Sender<Vec<ChannelName>>,
    },
    /// How sessions stand to groups.
    Standing {
        pairs: Vec<Pair>,
        answer: oneshot::Sender<Vec<Presence>>,
    },
}

/// What waits for one worker's registry.
pub(crate) struct Inbox {
    queue: Mutex<VecDeque<Delivery>>,
    /// A node asks one question at a time, and each reader of its layer one. `None` once the worker has gone, which answers nothing.
    questions: Mutex<Option<Vec<Question>>>,
    asked: AtomicBool,
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
            questions: Mutex::new(Some(Vec::new())),
            asked: AtomicBool::new(false),
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

    /// Runs as long as the worker's actors do: once it is dropped, whoever has asked, or will, is
    /// not kept waiting, also when the thread itself lives on.
    pub(crate) fn answering(self: &Arc<Self>) -> impl Future<Output = ()> + use<> {
        let answers = Answers(Arc::clone(self));
        async move {
            let _answers = answers;
            std::future::pending().await
        }
    }

    fn answer_no_more(&self) {
        let unanswered = self.questions.lock().take();
        drop(unanswered);
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

    fn has_work(&self) -> bool {
        self.len.load(Ordering::Acquire) > 0 || self.asked.load(Ordering::Acquire)
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
                let full = inbox.queue.lock().len() >= inbox.capacity;
                if !full {
                    return;
                }
                notified.await;
            }
        })
    }
}

struct Answers(Arc<Inbox>);

impl Drop for Answers {
    fn drop(&mut self) {
        self.0.answer_no_more();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_has_gone_keeps_nobody_waiting_for_its_answer() {
        let inbox = Arc::new(Inbox::new(1));
        let answering = inbox.answering();
        let ask = || {
            let (answer, answered) = oneshot::channel();
            let group = GroupName::everyone();
            inbox.ask(Question::Channels { group, answer });
            answered
        };
        let before = ask();
        drop(answering);
        for mut asked in [before, ask()] {
            assert_eq!(asked.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        }
    }
}
