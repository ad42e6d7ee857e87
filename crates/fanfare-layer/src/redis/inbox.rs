//! What has arrived from Redis and waits for the node to take it.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fanfare_protocol::event::EventError;
use fanfare_protocol::msgpack::DecodeError;
use fanfare_protocol::{Envelope, Target};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use parking_lot::Mutex;
use prometheus::IntCounter;
use tokio::sync::Notify;

use crate::metrics::Drops;
use crate::{Delivery, LayerMetrics};

/// Deliveries a reader takes at once.
const BATCH: usize = 256;
/// Bodies that wait together, however few they are.
const MOST_BYTES: usize = 64 << 20;
/// At most one line about dropped messages in this time.
const COMPLAINT_PAUSE: Duration = Duration::from_secs(10);

/// A bounded queue that drops the newest when full: whoever reads from Redis must never wait, or
/// the backlog grows in redis-rs and in the server instead.
pub(super) struct Inbox {
    limit: usize,
    queue: Mutex<Queue>,
    arrived: Notify,
    complaints: Mutex<Complaints>,
    metrics: LayerMetrics,
}

/// A message whose body is still msgpack: decoding is left to the reader, which may be on another
/// thread, so that taking from Redis stays faster than Redis sends.
struct Message {
    target: Target,
    body: Bytes,
    arrived: Instant,
}

#[derive(Default)]
struct Queue {
    messages: VecDeque<Message>,
    /// The sum of their bodies.
    bytes: usize,
    closed: bool,
}

#[derive(Default)]
struct Complaints {
    last: Option<Instant>,
    unsaid: u64,
}

impl Inbox {
    pub(super) fn new(limit: usize, metrics: LayerMetrics) -> Self {
        Self {
            limit: limit.max(1),
            queue: Mutex::default(),
            arrived: Notify::new(),
            complaints: Mutex::default(),
            metrics,
        }
    }

    pub(super) fn push(&self, target: Target, body: &[u8]) {
        self.metrics.received.inc();
        {
            let mut queue = self.queue.lock();
            let fits = queue.messages.is_empty() || queue.bytes + body.len() <= MOST_BYTES;
            if !fits || queue.messages.len() >= self.limit {
                drop(queue);
                let cause = &self.metrics.dropped.inbox_full;
                self.dropped(cause, spelled(&target), "the inbox is full");
                return;
            }
            queue.bytes += body.len();
            queue.messages.push_back(Message {
                target,
                body: Bytes::copy_from_slice(body),
                arrived: Instant::now(),
            });
        }
        self.arrived.notify_one();
    }

    /// Counts a message on a Redis channel that names no target.
    pub(super) fn refuse(&self, channel: &str, reason: &str) {
        self.metrics.received.inc();
        self.dropped(&self.metrics.dropped.bad_name, channel, reason);
    }

    /// Ends the streams once they have drained what is there.
    pub(super) fn close(&self) {
        self.queue.lock().closed = true;
        self.arrived.notify_waiters();
    }

    /// A reader. All readers share the queue; one that goes away leaves what it has not taken.
    pub(super) fn stream(self: &Arc<Self>) -> BoxStream<'static, Vec<Delivery>> {
        stream::unfold(self.clone(), |inbox| async move {
            let batch = inbox.next().await?;
            Some((batch, inbox))
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
            let batch: Vec<_> = messages
                .into_iter()
                .filter_map(|message| self.decode(message))
                .collect();
            if !batch.is_empty() {
                return Some(batch);
            }
        }
    }

    fn take(&self) -> (Vec<Message>, bool) {
        let mut queue = self.queue.lock();
        let count = queue.messages.len().min(BATCH);
        let messages: Vec<Message> = queue.messages.drain(..count).collect();
        queue.bytes -= messages.iter().map(|it| it.body.len()).sum::<usize>();
        (messages, queue.closed)
    }

    fn decode(&self, message: Message) -> Option<Delivery> {
        match Envelope::from_msgpack(&message.body) {
            Ok(envelope) => Some(Delivery {
                target: message.target,
                envelope: Arc::new(envelope),
                arrived: message.arrived,
            }),
            Err(error) => {
                let cause = self.metrics.dropped.cause_of(&error);
                self.dropped(cause, spelled(&message.target), &error.to_string());
                None
            }
        }
    }

    fn dropped(&self, cause: &IntCounter, name: &str, reason: &str) {
        cause.inc();
        let mut complaints = self.complaints.lock();
        complaints.unsaid += 1;
        if complaints
            .last
            .is_some_and(|last| last.elapsed() < COMPLAINT_PAUSE)
        {
            return;
        }
        complaints.last = Some(Instant::now());
        let count = std::mem::take(&mut complaints.unsaid);
        drop(complaints);
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
            DecodeError::Malformed { .. } | DecodeError::Event(EventError::Value(_)) => {
                &self.malformed
            }
            DecodeError::NotAMap { .. } | DecodeError::Event(EventError::NotAMap { .. }) => {
                &self.not_a_map
            }
            DecodeError::Event(EventError::NoType) => &self.no_type,
            DecodeError::Event(EventError::TypeNotString) => &self.type_not_string,
        }
    }
}

fn spelled(target: &Target) -> &str {
    match target {
        Target::Group(group) => group.as_str(),
        Target::Channel(channel) => channel.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use fanfare_protocol::GroupName;

    use super::*;

    #[test]
    fn large_bodies_fill_the_inbox_before_their_number_does() {
        let metrics = LayerMetrics::new(&prometheus::Registry::new()).unwrap();
        let inbox = Inbox::new(1000, metrics.clone());
        let target = Target::Group(GroupName::parse("room").unwrap());
        let push = |bytes: usize| inbox.push(target.clone(), &vec![0; bytes]);
        let piece = MOST_BYTES / 4;
        (0..4).for_each(|_| push(piece));
        push(1);
        assert_eq!(metrics.dropped.inbox_full.get(), 1);
        assert_eq!(inbox.take().0.len(), 4);
        push(MOST_BYTES + 1);
        assert_eq!(metrics.dropped.inbox_full.get(), 1, "one is always taken");
        push(1);
        assert_eq!(metrics.dropped.inbox_full.get(), 2);
    }
}
