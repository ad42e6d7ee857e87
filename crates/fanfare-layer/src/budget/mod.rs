//! The memory that a node may spend on what waits: one bound over all its queues.
//!
//! Each queue has bounds of its own. Many queues that are half full may still hold more than the
//! machine has, so all of them tell one [`MemoryBudget`] what they keep. When it is short, who has
//! something new is refused, and who holds most gives it up ([`Shed`]).

mod account;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::Throttle;
pub use account::{Account, Charge};

/// The bytes that wait on a node, together, and how many may. Clones are the same budget.
///
/// The budget is *short* from seven eighths of the limit on, and *eased* below three quarters of it.
#[derive(Clone)]
pub struct MemoryBudget {
    shared: Arc<Shared>,
}

/// What memory is spent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryUse {
    /// What worker threads keep for their sessions: outboxes, mailboxes, events that are being sent,
    /// and messages of clients that are not complete or not handled.
    Sessions,
    /// Deliveries for worker threads.
    Inboxes,
    /// Messages of channels that nobody has received.
    Channels,
    /// What comes from Redis or goes there.
    Redis,
    /// Bodies of HTTP requests.
    Bodies,
}

/// Something that holds memory and can give it up.
pub trait Shed: Send + Sync {
    /// Bytes of the largest single thing that it could give up.
    fn heaviest(&self) -> usize;

    /// Gives up its largest things, those above `floor` bytes, until the budget is eased. Answers
    /// whether it has; one that does so later, on its own thread, answers false.
    fn shed(&self, floor: usize) -> bool;
}

struct Shared {
    limit: usize,
    used: AtomicUsize,
    by_use: [AtomicUsize; MemoryUse::ALL.len()],
    holders: Mutex<Vec<Weak<dyn Shed>>>,
    eased: Notify,
    /// Somebody waits until it is not short.
    awaited: AtomicBool,
    /// Of lines that say that it is short.
    throttle: Throttle,
}

impl MemoryUse {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Sessions,
        Self::Inboxes,
        Self::Channels,
        Self::Redis,
        Self::Bodies,
    ];

    /// The name, for labels of metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Inboxes => "inboxes",
            Self::Channels => "channels",
            Self::Redis => "redis",
            Self::Bodies => "bodies",
        }
    }
}

impl MemoryBudget {
    /// A budget of `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                limit,
                used: AtomicUsize::new(0),
                by_use: Default::default(),
                holders: Mutex::default(),
                eased: Notify::new(),
                awaited: AtomicBool::new(false),
                throttle: Throttle::new(),
            }),
        }
    }

    /// A budget that is never short.
    pub fn unlimited() -> Self {
        Self::new(usize::MAX)
    }

    /// The bound, in bytes.
    pub fn limit(&self) -> usize {
        self.shared.limit
    }

    /// Bytes that wait now.
    pub fn used(&self) -> usize {
        self.shared.used.load(Ordering::Relaxed)
    }

    /// Bytes of one kind that wait now.
    pub fn used_by(&self, what: MemoryUse) -> usize {
        self.shared.by(what).load(Ordering::Relaxed)
    }

    /// Whether nothing new should be taken.
    pub fn is_short(&self) -> bool {
        self.used() >= self.shared.short()
    }

    /// Whether nobody has to give anything up.
    pub fn is_eased(&self) -> bool {
        self.excess() == 0
    }

    /// Bytes that would have to go until it is eased.
    pub fn excess(&self) -> usize {
        let eased = self.shared.limit - self.shared.limit / 4;
        (self.used() + 1).saturating_sub(eased)
    }

    /// The account of a queue.
    pub fn account(&self, what: MemoryUse) -> Account {
        Account::new(self.charge(what), self.step())
    }

    /// Nothing yet; what it grows by is counted at once.
    pub fn charge(&self, what: MemoryUse) -> Charge {
        Charge::new(self.clone(), what)
    }

    /// Asks `holder` for memory when it is short, as long as it is there.
    pub fn add_holder(&self, holder: Weak<dyn Shed>) {
        let mut holders = self.shared.holders.lock();
        holders.retain(|holder| holder.strong_count() > 0);
        holders.push(holder);
    }

    /// If memory is short, whoever holds the largest single thing gives it up, then the next one,
    /// until it is eased. The caller must hold no lock that a holder takes.
    pub fn relieve(&self) {
        if !self.is_short() {
            return;
        }
        if let Some(count) = self.shared.throttle.admit(1) {
            let (used, limit) = (self.used(), self.limit());
            tracing::warn!(
                used,
                limit,
                count,
                "memory is short: what is new is refused, and what waits for the slowest is dropped"
            );
        }
        while !self.is_eased() && self.shed_once() {}
    }

    /// Answers whether something was given up.
    fn shed_once(&self) -> bool {
        let holders = self.shared.holders.lock().clone();
        let holders = holders.iter().filter_map(Weak::upgrade);
        let mut by_weight: Vec<_> = holders.map(|it| (it.heaviest(), it)).collect();
        by_weight.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
        let floor = by_weight.get(1).map_or(0, |(weight, _)| *weight);
        match by_weight.first() {
            Some((1.., largest)) => largest.shed(floor),
            _ => false,
        }
    }

    /// Waits until it is not short.
    pub async fn room(&self) {
        loop {
            let mut eased = std::pin::pin!(self.shared.eased.notified());
            // Before the look, so that what comes behind the look wakes it.
            eased.as_mut().enable();
            self.shared.awaited.store(true, Ordering::Release);
            if !self.is_short() {
                return;
            }
            eased.await;
        }
    }

    fn take(&self, what: MemoryUse, bytes: usize) {
        self.shared.used.fetch_add(bytes, Ordering::Relaxed);
        self.shared.by(what).fetch_add(bytes, Ordering::Relaxed);
    }

    fn give(&self, what: MemoryUse, bytes: usize) {
        let shared = &*self.shared;
        shared.by(what).fetch_sub(bytes, Ordering::Relaxed);
        let before = shared.used.fetch_sub(bytes, Ordering::AcqRel);
        let crossed = before >= shared.short() && before - bytes < shared.short();
        if crossed && shared.awaited.swap(false, Ordering::AcqRel) {
            shared.eased.notify_waiters();
        }
    }

    /// The steps in which queues tell what they keep, in bytes.
    fn step(&self) -> usize {
        (self.shared.limit / 1024).clamp(1 << 10, 64 << 10)
    }
}

impl Shared {
    fn short(&self) -> usize {
        self.limit - self.limit / 8
    }

    fn by(&self, what: MemoryUse) -> &AtomicUsize {
        let [sessions, inboxes, channels, redis, bodies] = &self.by_use;
        match what {
            MemoryUse::Sessions => sessions,
            MemoryUse::Inboxes => inboxes,
            MemoryUse::Channels => channels,
            MemoryUse::Redis => redis,
            MemoryUse::Bodies => bodies,
        }
    }
}

impl fmt::Debug for MemoryBudget {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("MemoryBudget")
            .field("limit", &self.limit())
            .field("used", &self.used())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
