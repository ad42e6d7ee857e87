//! The publishes of one host: bounded, in the order of their calls.

use std::collections::VecDeque;
use std::mem;
use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::{Account, LayerMetrics, MemoryBudget, MemoryUse, Publish, PublishError};

/// Publishes and bytes that go out in one write. A slow line must bring a batch over, and its
/// answer back, within the time of a probe.
const BATCH_JOBS: usize = 256;
const BATCH_BYTES: usize = 256 << 10;

type Outcome = Result<(), PublishError>;

/// Takes publishes from any thread and hands them to the host's writer in batches.
///
/// Not more than there is [`Room`] for are queued or unanswered at once. The ones beyond wait in line: a place
/// that comes free goes to the first of them at once, whether or not its publisher looks, so the
/// order of the calls is the order on the wire.
pub(in crate::redis) struct Outgoing<W> {
    room: Room,
    state: Mutex<State<W>>,
    /// There is something to write.
    work: Notify,
    /// Nothing is in flight any more.
    idle: Notify,
    metrics: LayerMetrics,
}

/// How much may be queued or unanswered. The publish that reaches the bytes is taken whole.
pub(in crate::redis) struct Room {
    pub(in crate::redis) publishes: usize,
    pub(in crate::redis) bytes: usize,
}

struct State<W> {
    /// Why nothing is taken; `None` while open.
    refusal: Option<PublishError>,
    queue: VecDeque<Job<W>>,
    /// Those who were told [`Publish::Full`], oldest first.
    waiting: VecDeque<Waiting<W>>,
    next_ticket: u64,
    /// Queued and unanswered ones.
    in_flight: usize,
    /// The sum of their bodies.
    bytes: usize,
    /// The sum of the bodies that wait in line.
    waiting_bytes: usize,
    account: Account,
}

/// What a publish has to send.
pub(in crate::redis) trait Work: Send + 'static {
    /// The size of its body.
    fn bytes(&self) -> usize;
}

/// What the server said to a publish.
pub(in crate::redis) enum Reply {
    Taken,
    /// An error, in the server's words.
    Refused(String),
    /// It did not come to an answer.
    Failed(PublishError),
}

struct Job<W> {
    work: W,
    answer: oneshot::Sender<Outcome>,
}

struct Waiting<W> {
    ticket: u64,
    job: Job<W>,
    admitted: oneshot::Sender<()>,
}

/// Publishes on their way to the server. Dropped without an answer, they are unanswered.
pub(in crate::redis) struct Batch<W: Work> {
    outgoing: Arc<Outgoing<W>>,
    jobs: Vec<Job<W>>,
}

/// A place in the line; given up by dropping it.
struct Ticket<W: Work> {
    outgoing: Arc<Outgoing<W>>,
    number: u64,
}

impl<W: Work> Outgoing<W> {
    pub(in crate::redis) fn new(
        room: Room,
        refusal: PublishError,
        budget: &MemoryBudget,
        metrics: LayerMetrics,
    ) -> Self {
        let state = State {
            refusal: Some(refusal),
            queue: VecDeque::new(),
            waiting: VecDeque::new(),
            next_ticket: 0,
            in_flight: 0,
            bytes: 0,
            waiting_bytes: 0,
            account: budget.account(MemoryUse::Redis),
        };
        Self {
            room,
            state: Mutex::new(state),
            work: Notify::new(),
            idle: Notify::new(),
            metrics,
        }
    }

    pub(in crate::redis) fn publish(self: &Arc<Self>, work: W) -> Publish {
        let mut state = self.state.lock();
        if let Some(refusal) = state.refusal.clone() {
            drop(state);
            self.count(&refusal);
            return Publish::Done(Err(refusal));
        }
        let (answer, answered) = oneshot::channel();
        let job = Job { work, answer };
        if self.room.is_in(&state) {
            state.enqueue(job);
            drop(state);
            self.work.notify_one();
            return Publish::Sent(answered);
        }
        let (admitted, admission) = oneshot::channel();
        let number = state.next_ticket;
        state.next_ticket += 1;
        state.waiting_bytes += job.work.bytes();
        state.waiting.push_back(Waiting {
            ticket: number,
            job,
            admitted,
        });
        state.settle();
        let ticket = Ticket {
            outgoing: self.clone(),
            number,
        };
        Publish::Full(wait_in_line(ticket, admission, answered))
    }

    /// The host answers: take publishes.
    pub(in crate::redis) fn open(&self) {
        let mut state = self.state.lock();
        if state.refusal != Some(PublishError::Closed) {
            state.refusal = None;
        }
    }

    /// The host does not answer: refuse new publishes and fail those that were not written.
    pub(in crate::redis) fn refuse(&self, refusal: PublishError) {
        let mut state = self.state.lock();
        let reason = match state.refusal.take() {
            Some(PublishError::Closed) => PublishError::Closed,
            _ => refusal,
        };
        state.refusal = Some(reason.clone());
        let mut jobs = mem::take(&mut state.queue);
        state.in_flight -= jobs.len();
        state.bytes -= jobs.iter().map(|job| job.work.bytes()).sum::<usize>();
        jobs.extend(
            mem::take(&mut state.waiting)
                .into_iter()
                .map(|waiting| waiting.job),
        );
        state.waiting_bytes = 0;
        state.settle();
        drop(state);
        for job in jobs {
            self.settle(job, Err(reason.clone()));
        }
    }

    /// Takes nothing more; what was taken is still written.
    pub(in crate::redis) fn close(&self) {
        self.state.lock().refusal = Some(PublishError::Closed);
    }

    /// The next publishes to write, at least one.
    pub(in crate::redis) async fn next_batch(self: &Arc<Self>) -> Batch<W> {
        loop {
            let jobs = self.state.lock().take_batch();
            if !jobs.is_empty() {
                return Batch {
                    outgoing: self.clone(),
                    jobs,
                };
            }
            self.work.notified().await;
        }
    }

    /// Waits until everything that was taken is answered.
    pub(in crate::redis) async fn idle(&self) {
        loop {
            let mut idle = pin!(self.idle.notified());
            // Before the look, so that what comes behind the look wakes it.
            idle.as_mut().enable();
            if self.state.lock().in_flight == 0 {
                return;
            }
            idle.await;
        }
    }

    fn release(&self, count: usize, bytes: usize) {
        let mut state = self.state.lock();
        state.in_flight -= count;
        state.bytes -= bytes;
        let mut let_in = Vec::new();
        while self.room.is_in(&state)
            && let Some(first) = state.waiting.pop_front()
        {
            state.waiting_bytes -= first.job.work.bytes();
            state.enqueue(first.job);
            let_in.push(first.admitted);
        }
        let idle = state.in_flight == 0;
        state.settle();
        drop(state);
        if idle {
            self.idle.notify_waiters();
        }
        for admitted in let_in {
            // Gone in this instant: it is published all the same, nobody asks for the outcome.
            let _ = admitted.send(());
        }
        self.work.notify_one();
    }

    fn settle(&self, job: Job<W>, outcome: Outcome) {
        match &outcome {
            Ok(()) => self.metrics.published.inc(),
            Err(error) => self.count(error),
        }
        // A publisher that does not care has dropped its end.
        let _ = job.answer.send(outcome);
    }

    fn count(&self, error: &PublishError) {
        let failures = &self.metrics.failures;
        match error {
            PublishError::Down(_) => failures.down.inc(),
            PublishError::Unanswered(_) => failures.unanswered.inc(),
            PublishError::Closed => failures.closed.inc(),
            // Found out before it comes here: by the publisher, whose place in the line counts it, and
            // by the node.
            PublishError::NoRoom | PublishError::NoMemory => {}
            PublishError::ChannelFull { .. } => failures.channel_full.inc(),
            PublishError::Unserializable(_) => failures.unserializable.inc(),
        }
    }

    fn abandon(&self, ticket: u64) {
        let mut state = self.state.lock();
        let place = state
            .waiting
            .binary_search_by_key(&ticket, |waiting| waiting.ticket);
        let given_up = place.ok().and_then(|place| state.waiting.remove(place));
        if let Some(given_up) = given_up {
            state.waiting_bytes -= given_up.job.work.bytes();
            state.settle();
            drop(state);
            self.metrics.failures.abandoned.inc();
        }
    }
}

impl Room {
    /// There is always room for one.
    fn is_in<W>(&self, state: &State<W>) -> bool {
        state.in_flight == 0 || (state.in_flight < self.publishes && state.bytes < self.bytes)
    }
}

impl<W: Work> State<W> {
    fn enqueue(&mut self, job: Job<W>) {
        self.in_flight += 1;
        self.bytes += job.work.bytes();
        self.queue.push_back(job);
        self.settle();
    }

    /// Tells the node's budget what is kept here.
    fn settle(&mut self) {
        self.account.set(self.bytes + self.waiting_bytes);
    }

    fn take_batch(&mut self) -> Vec<Job<W>> {
        let mut bytes = 0;
        let mut jobs = Vec::new();
        while jobs.len() < BATCH_JOBS
            && bytes < BATCH_BYTES
            && let Some(job) = self.queue.pop_front()
        {
            bytes += job.work.bytes();
            jobs.push(job);
        }
        jobs
    }
}

impl<W: Work> Batch<W> {
    pub(in crate::redis) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// What to send, in order.
    pub(in crate::redis) fn works(&self) -> impl Iterator<Item = &W> {
        self.jobs.iter().map(|job| &job.work)
    }

    fn bytes(&self) -> usize {
        self.jobs.iter().map(|job| job.work.bytes()).sum()
    }

    /// The replies, one per publish; where one is missing, there was no answer.
    pub(in crate::redis) fn answered(mut self, replies: impl IntoIterator<Item = Reply>) {
        let bytes = self.bytes();
        let jobs = mem::take(&mut self.jobs);
        let count = jobs.len();
        let mut replies = replies.into_iter();
        for job in jobs {
            match replies.next() {
                Some(Reply::Taken) => self.outgoing.settle(job, Ok(())),
                Some(Reply::Failed(error)) => self.outgoing.settle(job, Err(error)),
                Some(Reply::Refused(error)) => {
                    self.outgoing.metrics.failures.refused.inc();
                    let _ = job.answer.send(Err(PublishError::Down(error)));
                }
                None => self.outgoing.settle(job, Err(lost())),
            }
        }
        self.outgoing.release(count, bytes);
    }
}

impl<W: Work> Drop for Batch<W> {
    fn drop(&mut self) {
        let bytes = self.bytes();
        let jobs = mem::take(&mut self.jobs);
        if jobs.is_empty() {
            return;
        }
        let count = jobs.len();
        for job in jobs {
            self.outgoing.settle(job, Err(lost()));
        }
        self.outgoing.release(count, bytes);
    }
}

impl<W: Work> Drop for Ticket<W> {
    fn drop(&mut self) {
        self.outgoing.abandon(self.number);
    }
}

fn lost() -> PublishError {
    PublishError::Unanswered("the connection was lost".into())
}

fn wait_in_line<W: Work>(
    ticket: Ticket<W>,
    admission: oneshot::Receiver<()>,
    answered: oneshot::Receiver<Outcome>,
) -> BoxFuture<'static, Publish> {
    async move {
        // An error means that the host went down meanwhile; the answer says so.
        let _ = admission.await;
        drop(ticket);
        Publish::Sent(answered)
    }
    .boxed()
}

#[cfg(test)]
mod tests;
