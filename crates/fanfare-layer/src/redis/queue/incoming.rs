//! What has arrived from Redis and waits for the node to take it.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use fanfare_protocol::event::EventError;
use fanfare_protocol::msgpack::DecodeError;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use parking_lot::Mutex;
use prometheus::IntCounter;
use tokio::sync::Notify;

use crate::metrics::Drops;
use crate::{Account, Delivery, LayerMetrics, MemoryBudget, MemoryUse, Throttle};

/// Messages a reader takes at once.
const BATCH: usize = 256;
/// Bytes of the bodies that it takes at once, unless one alone has more.
const BATCH_BYTES: usize = 256 << 10;
/// Bodies that wait together, however few they are.
const MOST_BYTES: usize = 64 << 20;

/// How one format's messages become deliveries.
pub(in crate::redis) trait Unpack: Send + Sync + 'static {
    /// Where a message comes from.
    type Source: Send;

    /// How people call a source.
    fn spelled<'a>(&'a self, source: &'a Self::Source) -> &'a str;

    /// Decodes a message into any number of deliveries.
    fn unpack(
        &self,
        message: &Message<Self::Source>,
        into: &mut Vec<Delivery>,
    ) -> Result<(), Refused>;
}

/// A bounded queue between what reads from Redis and what delivers. [`Incoming::push`] drops the newest
/// when it is full or memory is short: a subscriber of Redis must never wait, or the backlog grows in
/// redis-rs and in the server instead. Who can leave messages in Redis waits for [`Incoming::room`] and
/// offers.
pub(in crate::redis) struct Incoming<U: Unpack> {
    unpack: U,
    limit: usize,
    budget: MemoryBudget,
    queue: Mutex<Queue<U::Source>>,
    arrived: Notify,
    /// Something was taken.
    taken: Notify,
    /// Of lines about dropped messages.
    throttle: Throttle,
    metrics: LayerMetrics,
}

/// A message whose body is as it was in Redis: decoding is left to the reader, which may be on
/// another thread, so that taking from Redis stays faster than Redis sends.
pub(in crate::redis) struct Message<S> {
    pub(in crate::redis) source: S,
    pub(in crate::redis) body: Bytes,
    pub(in crate::redis) arrived: Instant,
}

/// Why a message is dropped.
pub(in crate::redis) enum Refused {
    /// Its body cannot be read.
    Body(DecodeError),
    /// It names no receiver that a message of its source can have.
    Name(String),
    /// It asks to close sessions, and cannot.
    Close(String),
    /// It is too old.
    Expired,
}

struct Queue<S> {
    messages: VecDeque<Message<S>>,
    /// The sum of their bodies.
    bytes: usize,
    account: Account,
    closed: bool,
}

impl<U: Unpack> Incoming<U> {
    pub(in crate::redis) fn new(
        unpack: U,
        limit: usize,
        budget: &MemoryBudget,
        metrics: LayerMetrics,
    ) -> Self {
        let queue = Queue {
            messages: VecDeque::new(),
            bytes: 0,
            account: budget.account(MemoryUse::Redis),
            closed: false,
        };
        Self {
            unpack,
            limit: limit.max(1),
            budget: budget.clone(),
            queue: Mutex::new(queue),
            arrived: Notify::new(),
            taken: Notify::new(),
            throttle: Throttle::default(),
            metrics,
        }
    }

    /// Queues a message that has just arrived, or drops and counts it.
    pub(in crate::redis) fn push(&self, source: U::Source, body: Bytes) {
        let drops = &self.metrics.dropped;
        let (source, cause, reason) = if self.budget.is_short() {
            (source, &drops.no_memory, "the node is short of memory")
        } else if let Err((source, _)) = self.offer(source, body) {
            (source, &drops.inbox_full, "the inbox is full")
        } else {
            return;
        };
        self.metrics.received.inc();
        self.dropped(cause, self.unpack.spelled(&source), reason);
        self.budget.relieve();
    }

    /// Queues a message that has just arrived, or gives it back when there is no room.
    pub(in crate::redis) fn offer(
        &self,
        source: U::Source,
        body: Bytes,
    ) -> Result<(), (U::Source, Bytes)> {
        {
            let mut queue = self.queue.lock();
            let fits = queue.messages.is_empty() || queue.bytes + body.len() <= MOST_BYTES;
            if !fits || queue.messages.len() >= self.limit {
                return Err((source, body));
            }
            queue.bytes += body.len();
            let bytes = queue.bytes;
            queue.account.set(bytes);
            queue.messages.push_back(Message {
                source,
                body,
                arrived: Instant::now(),
            });
        }
        self.metrics.received.inc();
        self.arrived.notify_one();
        Ok(())
    }

    /// Waits until there is room for a message of so many bytes. Others may wait too, and be
    /// quicker. For ever, once it is closed and nobody takes what is there.
    pub(in crate::redis) async fn room(&self, bytes: usize) {
        loop {
            self.budget.room().await;
            let mut taken = pin!(self.taken.notified());
            // Before the look, so that what comes behind the look wakes it.
            taken.as_mut().enable();
            {
                let queue = self.queue.lock();
                let fits = queue.messages.is_empty() || queue.bytes + bytes <= MOST_BYTES;
                if fits && queue.messages.len() < self.limit {
                    return;
                }
            }
            taken.await;
        }
    }

    /// Counts a message that is dropped before it was queued.
    pub(in crate::redis) fn reject(&self, name: &str, refused: &Refused) {
        self.metrics.received.inc();
        self.count(name, refused);
    }

    /// Counts a message that was taken from a channel for nobody, and that Redis does not take back.
    pub(in crate::redis) fn unreturned(&self, channel: &str, reason: &str) {
        self.metrics.received.inc();
        self.dropped(&self.metrics.dropped.unreturned, channel, reason);
    }

    /// Counts a message on a Redis channel that names no target.
    pub(in crate::redis) fn refuse(&self, channel: &str, reason: &str) {
        self.metrics.received.inc();
        self.dropped(&self.metrics.dropped.bad_name, channel, reason);
    }

    /// Ends the streams once they have drained what is there.
    pub(in crate::redis) fn close(&self) {
        self.queue.lock().closed = true;
        self.arrived.notify_waiters();
    }

    /// A reader. All readers share the queue; one that goes away leaves what it has not taken.
    pub(in crate::redis) fn stream(self: &Arc<Self>) -> BoxStream<'static, Vec<Delivery>> {
        stream::unfold(self.clone(), |incoming| async move {
            let batch = incoming.next().await?;
            Some((batch, incoming))
        })
        .boxed()
    }

    async fn next(&self) -> Option<Vec<Delivery>> {
        loop {
            let mut arrived = pin!(self.arrived.notified());
            arrived.as_mut().enable();
            let (messages, closed) = self.take();
            if messages.is_empty() {
                if closed {
                    return None;
                }
                arrived.await;
                continue;
            }
            let mut batch = Vec::with_capacity(messages.len());
            for message in &messages {
                self.decode(message, &mut batch);
            }
            if !batch.is_empty() {
                return Some(batch);
            }
        }
    }

    fn take(&self) -> (Vec<Message<U::Source>>, bool) {
        let mut queue = self.queue.lock();
        let mut bytes = 0;
        let fits = |message: &&Message<U::Source>| {
            let first = bytes == 0;
            bytes += message.body.len();
            first || bytes <= BATCH_BYTES
        };
        let count = queue.messages.iter().take(BATCH).take_while(fits).count();
        let messages: Vec<_> = queue.messages.drain(..count).collect();
        queue.bytes -= messages.iter().map(|it| it.body.len()).sum::<usize>();
        let bytes = queue.bytes;
        queue.account.set(bytes);
        if !messages.is_empty() {
            self.taken.notify_waiters();
        }
        (messages, queue.closed)
    }

    fn decode(&self, message: &Message<U::Source>, into: &mut Vec<Delivery>) {
        let before = into.len();
        if let Err(refused) = self.unpack.unpack(message, into) {
            into.truncate(before);
            self.count(self.unpack.spelled(&message.source), &refused);
        }
    }

    fn count(&self, name: &str, refused: &Refused) {
        let drops = &self.metrics.dropped;
        match refused {
            Refused::Body(error) => {
                self.dropped(drops.cause_of(error), name, &error.to_string());
            }
            Refused::Name(reason) => self.dropped(&drops.bad_name, name, reason),
            Refused::Close(reason) => self.dropped(&drops.bad_close, name, reason),
            Refused::Expired => drops.expired.inc(),
        }
    }

    fn dropped(&self, cause: &IntCounter, name: &str, reason: &str) {
        cause.inc();
        let Some(count) = self.throttle.admit(1) else {
            return;
        };
        tracing::warn!(
            name,
            reason,
            count,
            "dropped messages from the layer; name and reason are the last one's"
        );
    }
}

impl Drops {
    fn cause_of(&self, error: &DecodeError) -> &IntCounter {
        match error {
            DecodeError::Malformed { .. }
            | DecodeError::Json { .. }
            | DecodeError::TooShort { .. }
            | DecodeError::Event(EventError::Value(_)) => &self.malformed,
            DecodeError::Recipients { .. } => &self.bad_name,
            DecodeError::Undecryptable | DecodeError::Ahead { .. } => &self.undecryptable,
            DecodeError::Expired { .. } => &self.expired,
            DecodeError::NotAMap { .. } | DecodeError::Event(EventError::NotAMap { .. }) => {
                &self.not_a_map
            }
            DecodeError::Event(EventError::NoType) => &self.no_type,
            DecodeError::Event(EventError::TypeNotString) => &self.type_not_string,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl Unpack for Nothing {
        type Source = ();

        fn spelled<'a>(&'a self, (): &'a ()) -> &'a str {
            "nothing"
        }

        fn unpack(&self, _: &Message<()>, _: &mut Vec<Delivery>) -> Result<(), Refused> {
            Ok(())
        }
    }

    #[test]
    fn large_bodies_fill_the_inbox_before_their_number_does() {
        let metrics = LayerMetrics::new(&prometheus::Registry::new()).unwrap();
        let incoming = Incoming::new(Nothing, 1000, &MemoryBudget::unlimited(), metrics.clone());
        let push = |bytes: usize| incoming.push((), vec![0; bytes].into());
        let piece = MOST_BYTES / 4;
        (0..4).for_each(|_| push(piece));
        push(1);
        assert_eq!(metrics.dropped.inbox_full.get(), 1);
        let take = || Some(incoming.take().0.len()).filter(|taken| *taken > 0);
        let taken: Vec<usize> = std::iter::from_fn(take).collect();
        assert_eq!(taken, [1; 4], "a reader takes large ones one by one");
        push(MOST_BYTES + 1);
        assert_eq!(metrics.dropped.inbox_full.get(), 1, "one is always taken");
        push(1);
        assert_eq!(metrics.dropped.inbox_full.get(), 2);
    }

    #[test]
    fn what_comes_while_memory_is_short_is_dropped_and_counted() {
        let metrics = LayerMetrics::new(&prometheus::Registry::new()).unwrap();
        let budget = MemoryBudget::new(1000);
        let incoming = Incoming::new(Nothing, 1000, &budget, metrics.clone());
        let others = budget.charge(MemoryUse::Bodies).of(900);
        incoming.push((), vec![0; 10].into());
        assert_eq!(metrics.dropped.no_memory.get(), 1);
        drop(others);
        incoming.push((), vec![0; 10].into());
        assert_eq!(metrics.dropped.no_memory.get(), 1);
        assert_eq!(incoming.take().0.len(), 1);
    }
}
