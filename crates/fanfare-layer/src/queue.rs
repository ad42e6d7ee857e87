//! Queues of normal channels: the names that workers receive from.
//!
//! A message for a normal channel is for exactly one of its receivers, and may come before any of
//! them: it waits in the channel's queue. The queue is this process's; a layer that spans processes
//! is told by a subscription which channels are received from here, and by a pull how many messages
//! are waited for, so that processes can share a channel.

mod receiver;
mod shedding;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use fanfare_protocol::{ChannelName, Envelope, NameMap};
use futures_util::FutureExt as _;
use futures_util::future::{self, BoxFuture};
use parking_lot::Mutex;
use prometheus::IntCounter;
use tokio::sync::Notify;

use crate::{ChannelFull, ChannelLayer, Charge, MemoryBudget, MemoryUse, SubscribeError};
pub use receiver::Receiver;

/// Bounds of a [`ChannelQueue`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueOptions {
    /// Messages that may wait in one channel. Channels' default: 100.
    pub capacity: usize,
    /// How long a message may wait before it counts as lost. Channels' default: 60 seconds.
    pub expiry: Duration,
    /// Channels with messages and without a receiver; messages for further ones are refused.
    pub unread: usize,
}

/// Counters of messages that nobody received.
#[derive(Debug, Clone)]
pub struct LostMessages {
    /// Nobody took them in time.
    pub expired: IntCounter,
    /// They were dropped because the node was short of memory.
    pub no_memory: IntCounter,
}

/// Named channels that several receivers share. Clones are handles on the same queues.
#[derive(Clone)]
pub struct ChannelQueue {
    shared: Arc<Shared>,
}

type Subscribed = BoxFuture<'static, Result<(), SubscribeError>>;

struct Shared {
    options: QueueOptions,
    lost: LostMessages,
    budget: MemoryBudget,
    lines: Mutex<Lines>,
}

struct Lines {
    by_name: NameMap<ChannelName, Line>,
    /// How many of them have no receiver.
    unread: usize,
    /// When those that nobody reads are looked through next.
    sweep_at: Instant,
    closed: bool,
}

/// The queue of one channel. Exists while it has a receiver or a message.
#[derive(Default)]
struct Line {
    waiting: VecDeque<Waiting>,
    receivers: usize,
    /// Receivers that have found nothing and wait.
    asking: usize,
    /// Messages that the layer was asked for and has not brought. A wish is the line's and not the
    /// receiver's: one that stops waiting leaves its wish to whoever waits next.
    wished: usize,
    arrived: Arc<Notify>,
}

struct Waiting {
    envelope: Arc<Envelope>,
    arrived: Instant,
    /// What it keeps in memory.
    charge: Charge,
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self {
            capacity: 100,
            expiry: Duration::from_secs(60),
            unread: 1000,
        }
    }
}

impl ChannelQueue {
    /// Empty queues, whose messages draw from `budget`.
    pub fn new(options: QueueOptions, lost: LostMessages, budget: MemoryBudget) -> Self {
        let lines = Lines {
            by_name: NameMap::default(),
            unread: 0,
            sweep_at: Instant::now() + options.expiry,
            closed: false,
        };
        let shared = Arc::new(Shared {
            options,
            lost,
            budget,
            lines: Mutex::new(lines),
        });
        let holder: Weak<Shared> = Arc::downgrade(&shared);
        shared.budget.add_holder(holder);
        Self { shared }
    }

    /// Queues a message that arrived at `arrived` for one of the channel's receivers.
    ///
    /// # Errors
    /// [`ChannelFull`] when as many messages wait as may, or when the channel has no receiver and
    /// too many others have none either.
    pub fn put(
        &self,
        channel: &ChannelName,
        envelope: Arc<Envelope>,
        arrived: Instant,
    ) -> Result<(), ChannelFull> {
        let shared = &*self.shared;
        let mut lines = shared.lines.lock();
        shared.sweep_if_due(&mut lines);
        if !lines.by_name.contains_key(channel) {
            shared.open_unread(&mut lines, channel)?;
        }
        let line = lines.by_name.entry(channel.clone()).or_default();
        // Brought is brought, whether there is room for it or not.
        line.wished = line.wished.saturating_sub(1);
        shared.expire(line);
        if line.waiting.len() >= shared.options.capacity {
            return Err(ChannelFull {
                channel: channel.clone(),
            });
        }
        let bytes = envelope.event.memory_bytes();
        line.waiting.push_back(Waiting {
            envelope,
            arrived,
            charge: shared.budget.charge(MemoryUse::Channels).of(bytes),
        });
        line.arrived.notify_one();
        drop(lines);
        shared.budget.relieve();
        Ok(())
    }

    /// Becomes a receiver of a channel. Resolves when `layer` brings the channel's messages to this
    /// process; a layer that is away is waited for. What waits in the queue already is received
    /// too. A name with a `!` lives in one process, which hears of it anyway.
    ///
    /// # Errors
    /// When the queues or the layer are closed.
    pub async fn receive(
        &self,
        channel: ChannelName,
        layer: Arc<dyn ChannelLayer>,
    ) -> Result<Receiver, SubscribeError> {
        let (receiver, subscribed) = self.enter(channel, layer);
        subscribed.await?;
        Ok(receiver)
    }

    /// Whether somebody receives from a channel.
    pub fn is_received(&self, channel: &ChannelName) -> bool {
        let lines = self.shared.lines.lock();
        let line = lines.by_name.get(channel);
        line.is_some_and(|line| line.receivers > 0)
    }

    /// Ends every receiver, once it has taken what waits for it.
    pub fn close(&self) {
        let mut lines = self.shared.lines.lock();
        lines.closed = true;
        for line in lines.by_name.values() {
            line.arrived.notify_waiters();
        }
    }

    fn enter(&self, channel: ChannelName, layer: Arc<dyn ChannelLayer>) -> (Receiver, Subscribed) {
        let shared = &*self.shared;
        let mut lines = shared.lines.lock();
        shared.sweep_if_due(&mut lines);
        let known = lines.by_name.contains_key(&channel);
        let line = lines.by_name.entry(channel.clone()).or_default();
        line.receivers += 1;
        let was_unread = known && line.receivers == 1;
        let arrived = line.arrived.clone();
        if was_unread {
            lines.unread -= 1;
        }
        let receiver = Receiver {
            channel,
            arrived,
            queue: self.shared.clone(),
            layer,
        };
        // Under the lock, so that the first receiver's subscription and the end of the last one's
        // reach the layer in the order in which they were counted.
        let subscribed = match receiver.subscription() {
            _ if lines.closed => future::ready(Err(SubscribeError("it is closed".into()))).boxed(),
            Some(subscription) => receiver.layer.subscribe(vec![subscription]),
            None => future::ready(Ok(())).boxed(),
        };
        drop(lines);
        (receiver, subscribed)
    }
}

impl Shared {
    /// Drops and counts what has waited for too long.
    fn expire(&self, line: &mut Line) {
        let old = |it: &Waiting| it.arrived.elapsed() >= self.options.expiry;
        while line.waiting.front().is_some_and(old) {
            line.waiting.pop_front();
            self.lost.expired.inc();
        }
    }

    /// Counts a name without a receiver in, if there is room for one.
    fn open_unread(&self, lines: &mut Lines, channel: &ChannelName) -> Result<(), ChannelFull> {
        if lines.unread >= self.options.unread {
            self.sweep(lines);
        }
        if lines.unread >= self.options.unread {
            return Err(ChannelFull {
                channel: channel.clone(),
            });
        }
        lines.unread += 1;
        Ok(())
    }

    fn sweep_if_due(&self, lines: &mut Lines) {
        if Instant::now() >= lines.sweep_at {
            self.sweep(lines);
        }
    }

    /// Forgets the names that nobody reads and that have nothing left to read.
    fn sweep(&self, lines: &mut Lines) {
        lines.sweep_at = Instant::now() + self.options.expiry;
        let before = lines.by_name.len();
        lines.by_name.retain(|_, line| {
            self.expire(line);
            line.receivers > 0 || !line.waiting.is_empty()
        });
        lines.unread -= before - lines.by_name.len();
    }
}

impl fmt::Debug for ChannelQueue {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.shared.lines.lock();
        let messages: usize = lines.by_name.values().map(|it| it.waiting.len()).sum();
        out.debug_struct("ChannelQueue")
            .field("channels", &lines.by_name.len())
            .field("unread", &lines.unread)
            .field("messages", &messages)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
