//! A node's end of a layer: what has arrived.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use fanfare_layer::{
    ChannelFull, ChannelQueue, Delivery, Full, LostMessages, MemoryBudget, QueueOptions, Sink,
    Undelivered,
};
use fanfare_protocol::{ChannelName, Target};
use fanfare_rig::{eventually, within};
use prometheus::IntCounter;
use tokio::sync::Notify;

use super::SOON;

/// The bounds of channels_redis' own tests.
pub(crate) const CAPACITY: usize = 3;
pub(crate) const EXPIRY: Duration = Duration::from_secs(3);

/// Everything that has arrived, in order; what is for normal channels is in their queues. As a sink
/// it misbehaves: now and then it is full.
pub(crate) struct Arrivals {
    pub(crate) queue: ChannelQueue,
    /// Messages that nobody received in time.
    pub(crate) expired: IntCounter,
    /// Messages from elsewhere that found a queue full.
    overflow: AtomicUsize,
    /// How long ago what arrives is said to have arrived.
    pub(crate) age: Mutex<Duration>,
    all: Mutex<Vec<Delivery>>,
    grown: Notify,
    /// Every how many deliveries the sink is full once; 0 is never.
    full_every: usize,
    offered: AtomicUsize,
}

impl Arrivals {
    pub(super) fn new(full_every: usize) -> Result<Self> {
        let expired = IntCounter::new("expired", "not received in time")?;
        let options = QueueOptions {
            capacity: CAPACITY,
            expiry: EXPIRY,
            unread: 10,
        };
        let lost = LostMessages {
            expired: expired.clone(),
            no_memory: IntCounter::new("no_memory", "dropped for want of memory")?,
        };
        Ok(Self {
            queue: ChannelQueue::new(options, lost, MemoryBudget::unlimited()),
            expired,
            overflow: AtomicUsize::new(0),
            age: Mutex::default(),
            all: Mutex::default(),
            grown: Notify::new(),
            full_every,
            offered: AtomicUsize::new(0),
        })
    }

    /// Takes what came from elsewhere.
    pub(super) fn take(&self, delivery: Delivery) {
        if self.put(delivery).is_err() {
            self.overflow.fetch_add(1, Ordering::Relaxed);
            self.grown.notify_waiters();
        }
    }

    fn put(&self, delivery: Delivery) -> Result<(), ChannelFull> {
        match &delivery.target {
            Target::Channel(channel) if is_queued(channel) => {
                let age = *self.age.lock().unwrap();
                let arrived = Instant::now().checked_sub(age).unwrap();
                self.queue.put(channel, delivery.envelope, arrived)
            }
            _ => {
                self.push(delivery);
                Ok(())
            }
        }
    }

    /// Waits until that many messages from elsewhere found a queue full.
    pub(crate) async fn overflows(&self, count: usize) -> Result<()> {
        eventually(SOON, "full queues", async || {
            Ok((self.overflow.load(Ordering::Relaxed) == count).then_some(()))
        })
        .await
    }

    fn push(&self, delivery: Delivery) {
        self.all.lock().unwrap().push(delivery);
        self.grown.notify_waiters();
    }

    /// The first `count` deliveries, once they are there.
    pub(crate) async fn first(&self, count: usize) -> Result<Vec<Delivery>> {
        let wait = async {
            loop {
                let grown = self.grown.notified();
                {
                    let all = self.all.lock().unwrap();
                    if all.len() >= count {
                        return all[..count].to_vec();
                    }
                }
                grown.await;
            }
        };
        within(SOON, "deliveries", wait)
            .await
            .with_context(|| format!("{} came", self.len()))
    }

    pub(crate) fn len(&self) -> usize {
        self.all.lock().unwrap().len()
    }
}

impl Sink for Arrivals {
    fn deliver(&self, delivery: Delivery) -> Result<(), Undelivered> {
        let turn = self.offered.fetch_add(1, Ordering::Relaxed) + 1;
        if self.full_every > 0 && turn.is_multiple_of(self.full_every) {
            return Err(Undelivered::Full(Full {
                delivery,
                room: Box::pin(tokio::task::yield_now()),
            }));
        }
        self.put(delivery).map_err(Undelivered::ChannelFull)
    }
}

/// The names of `ChannelQueue`'s tests: normal ones, and one for channels of this node alone.
fn is_queued(channel: &ChannelName) -> bool {
    !channel.as_str().contains('!') || channel.as_str().ends_with("!queued")
}
