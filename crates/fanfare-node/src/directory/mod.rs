//! The directory of a node: which workers have members of a group, and the group's subscription.
//!
//! Shared by all threads, striped by group. A delivery is handed to the workers under its
//! stripe's lock: that lock is what gives a group one order on the node.

mod hand_off;
mod inbox;
mod queues;
mod relief;
mod requests;
#[cfg(test)]
mod simulation;
mod subscriptions;
mod wanted;
mod watchdog;
mod workers;

use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fanfare_layer::{
    ChannelQueue, Delivery, Full, LostMessages, MemoryBudget, QueueOptions, Sink, Undelivered,
};
use fanfare_protocol::{ChannelName, GroupName, NameHash, NameMap, Naming, NodeId, Target};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

use crate::metrics::NodeMetrics;
use crate::options::MAX_WORKERS;
use queues::Queues;
use wanted::Subscription;
use workers::Workers;

pub(crate) use hand_off::Batch;
pub(crate) use inbox::{Inbox, InboxBounds, Question, Unqueued};
pub(crate) use queues::{LOCAL_CHANNELS, is_normal};
pub(crate) use requests::Requests;
pub(crate) use wanted::{Changes, Request};
pub(crate) use watchdog::Watchdog;
pub(crate) use workers::WorkerPlace;

const STRIPES: usize = 64;

#[derive(Default)]
pub(crate) struct Entry {
    /// Bit per worker that has members.
    pub(crate) workers: u64,
    /// Members on this node.
    pub(crate) members: u32,
    pub(crate) subscription: Subscription,
}

type Stripe = NameMap<GroupName, Entry>;

/// Which workers of a node have members of a group, and where its subscription stands.
pub(crate) struct Directory {
    node: NodeId,
    naming: Naming,
    stripes: Vec<Mutex<Stripe>>,
    /// How many groups of the application have members; changed under the lock of their stripe.
    filled: AtomicUsize,
    /// Chooses the stripe of a group; the maps have hashes of their own.
    hash: NameHash,
    workers: Workers,
    /// What waits for those who receive from normal channels.
    pub(crate) queues: Queues,
    /// What its inboxes and queues draw from.
    memory: MemoryBudget,
    /// What the bridge has to tell the layer; `None` where the layer needs no subscriptions.
    pub(crate) changes: Option<Changes>,
    metrics: NodeMetrics,
}

impl Directory {
    pub(crate) fn new(
        node: NodeId,
        naming: Naming,
        changes: Option<Changes>,
        (queue, memory): (QueueOptions, MemoryBudget),
        metrics: NodeMetrics,
    ) -> Self {
        let lost = LostMessages {
            expired: metrics.dropped.expired.clone(),
            no_memory: metrics.dropped.no_memory.clone(),
        };
        let queue = ChannelQueue::new(queue, lost, memory.clone());
        Self {
            node,
            naming,
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            filled: AtomicUsize::new(0),
            hash: NameHash::default(),
            workers: Workers::new(),
            queues: Queues::new(queue),
            memory,
            changes,
            metrics,
        }
    }

    /// Adds a worker thread; its inbox gets the deliveries.
    pub(crate) fn add_worker(&self, bounds: InboxBounds) -> WorkerPlace {
        self.workers.enter(bounds, &self.memory)
    }

    /// A worker thread has ended, and with it its sessions. `next_generation`: above those of all
    /// its sessions, if there is one.
    pub(crate) fn remove_worker(&self, worker: u8, next_generation: Option<u32>) {
        self.workers.leave(worker, next_generation);
    }

    /// Locks the stripe of a group.
    pub(crate) fn stripe(&self, group: &GroupName) -> MutexGuard<'_, Stripe> {
        let index = self.hash.hash_one(group) as usize % STRIPES;
        match self.stripes.get(index) {
            Some(stripe) => stripe.lock(),
            None => unreachable!("the index is below the number of stripes"),
        }
    }

    pub(crate) fn stripes(&self) -> &[Mutex<Stripe>] {
        &self.stripes
    }

    /// A session of `worker` has joined. Answers what to wait for until the layer has
    /// acknowledged the group's subscription, if that is still to come; see [`Self::tracks_members_individually`]
    /// for the groups that have none.
    pub(crate) fn join(&self, group: &GroupName, worker: u8) -> Option<oneshot::Receiver<()>> {
        let mut stripe = self.stripe(group);
        let entry = stripe.entry(group.clone()).or_insert_with(|| {
            self.metrics.groups.inc();
            Entry::default()
        });
        if entry.members == 0 && is_of_application(group) {
            self.filled.fetch_add(1, Ordering::Relaxed);
        }
        entry.members += 1;
        entry.workers |= 1 << worker;
        let changes = self.changes.as_ref()?;
        if changes.members.each_in(group) {
            return None;
        }
        changes.wanted(group, &mut entry.subscription)
    }

    /// What to wait for until the layer has acknowledged a group that has members here already.
    pub(crate) fn acknowledgement(&self, group: &GroupName) -> Option<oneshot::Receiver<()>> {
        let changes = self.changes.as_ref()?;
        if changes.members.each_in(group) {
            return None;
        }
        let mut stripe = self.stripe(group);
        changes.wanted(group, &mut stripe.get_mut(group)?.subscription)
    }

    /// A session of `worker` has left; `last` if no other of that worker is in the group.
    pub(crate) fn leave(&self, group: &GroupName, worker: u8, last: bool) {
        let mut stripe = self.stripe(group);
        let Some(entry) = stripe.get_mut(group) else {
            return;
        };
        if entry.members == 1 && is_of_application(group) {
            self.filled.fetch_sub(1, Ordering::Relaxed);
        }
        entry.members = entry.members.saturating_sub(1);
        if last {
            entry.workers &= !(1 << worker);
        }
        if entry.members > 0 {
            return;
        }
        match &self.changes {
            Some(changes) if !changes.members.each_in(group) => changes.emptied(group),
            _ => {
                stripe.remove(group);
                self.metrics.groups.dec();
            }
        }
    }

    /// Whether the layer is told of each member of this group, and not of the group.
    pub(crate) fn tracks_members_individually(&self, group: &GroupName) -> bool {
        let changes = self.changes.as_ref();
        changes.is_some_and(|changes| changes.members.each_in(group))
    }

    /// Members of a group on this node.
    pub(crate) fn members(&self, group: &GroupName) -> usize {
        self.stripe(group)
            .get(group)
            .map_or(0, |entry| entry.members as usize)
    }

    /// How many groups of the application have members on this node.
    pub(crate) fn count(&self) -> usize {
        self.filled.load(Ordering::Relaxed)
    }

    /// All groups with members on this node, sorted by name.
    pub(crate) fn groups(&self) -> Vec<(GroupName, usize)> {
        let mut groups = Vec::new();
        for stripe in &self.stripes {
            let stripe = stripe.lock();
            let filled = stripe.iter().filter(|(_, entry)| entry.members > 0);
            groups.extend(filled.map(|(name, entry)| (name.clone(), entry.members as usize)));
        }
        groups.sort();
        groups
    }

    /// The inboxes of the workers that have members of a group.
    pub(crate) fn inboxes_of(&self, group: &GroupName) -> impl Iterator<Item = &Arc<Inbox>> {
        let workers = self
            .stripe(group)
            .get(group)
            .map_or(0, |entry| entry.workers);
        bits(workers).filter_map(|worker| self.inbox(worker))
    }

    pub(crate) fn inbox(&self, worker: u32) -> Option<&Arc<Inbox>> {
        self.workers.inbox(worker)
    }

    /// How the layer spells channels.
    pub(crate) fn naming(&self) -> &Naming {
        &self.naming
    }

    /// Whose session on this node has a channel: outside `None` if no session here has it, inside if
    /// it is nobody's.
    pub(crate) async fn user_of(&self, channel: ChannelName) -> Option<Option<String>> {
        let ChannelOwner::Worker(worker) = self.place(&channel) else {
            return None;
        };
        let (answer, user) = oneshot::channel();
        self.inbox(worker.into())?
            .ask(Question::User { channel, answer });
        user.await.ok().flatten()
    }

    pub(crate) fn place(&self, channel: &ChannelName) -> ChannelOwner {
        match self.naming.locate(channel.as_str()) {
            Some((node, session)) if node == self.node => match session.worker {
                worker if usize::from(worker) < MAX_WORKERS => ChannelOwner::Worker(worker),
                LOCAL_CHANNELS => ChannelOwner::Queue,
                _ => ChannelOwner::Nowhere,
            },
            None if is_normal(channel) => ChannelOwner::Queue,
            _ => ChannelOwner::Nowhere,
        }
    }

    fn deliver_to(&self, workers: u64, delivery: Delivery) -> Result<(), Undelivered> {
        for worker in bits(workers) {
            if let Some(inbox) = self.inbox(worker)
                && !inbox.has_room()
            {
                let room = inbox.room();
                return Err(Undelivered::Full(Full { delivery, room }));
            }
        }
        let bytes = delivery.envelope.event.memory_bytes();
        let each = |inbox: &Inbox, delivery| inbox.push(delivery, bytes);
        self.each_inbox(workers, delivery, each);
        Ok(())
    }

    /// Gives each of the workers the delivery; the last one gets it without a copy.
    fn each_inbox(
        &self,
        workers: u64,
        delivery: Delivery,
        give: impl Fn(&Inbox, Delivery) -> Result<(), Unqueued>,
    ) {
        let dropped = &self.metrics.dropped;
        let give = |inbox, delivery| match give(inbox, delivery) {
            Ok(()) => {}
            Err(Unqueued::Full) => dropped.inbox_full.inc(),
            Err(Unqueued::Ended) => dropped.no_session.inc(),
        };
        let mut rest = workers;
        while rest != 0 {
            let worker = rest.trailing_zeros();
            rest &= rest - 1;
            let Some(inbox) = self.inbox(worker) else {
                // No thread ever had the number in this name.
                dropped.no_session.inc();
                continue;
            };
            if rest == 0 {
                give(inbox, delivery);
                return;
            }
            give(inbox, delivery.clone());
        }
    }

    /// The workers and how long the oldest delivery of each has been on this node.
    pub(crate) fn oldest(&self, now: Instant) -> impl Iterator<Item = (usize, Duration)> + '_ {
        let inboxes = self.workers.inboxes();
        inboxes.map(move |(worker, inbox)| (worker, inbox.oldest(now)))
    }
}

/// Whether an application made the group: not the group of everyone, and not a user's.
fn is_of_application(group: &GroupName) -> bool {
    !group.as_str().starts_with("fanfare.")
}

impl Sink for Directory {
    fn deliver(&self, delivery: Delivery) -> Result<(), Undelivered> {
        match &delivery.target {
            Target::Group(group) => {
                let stripe = self.stripe(group);
                match stripe.get(group).map_or(0, |entry| entry.workers) {
                    0 => {
                        self.metrics.dropped.no_members.inc();
                        Ok(())
                    }
                    workers => self.deliver_to(workers, delivery),
                }
            }
            // A copy of an event of a group, for a member that is left out of it.
            Target::Channel(channel) if delivery.envelope.exclude.contains(channel) => Ok(()),
            Target::Channel(channel) => match self.place(channel) {
                ChannelOwner::Worker(worker) => self.deliver_to(1 << worker, delivery),
                ChannelOwner::Queue => self
                    .queues
                    .queue
                    .put(channel, delivery.envelope, delivery.arrived)
                    .map_err(Undelivered::ChannelFull),
                ChannelOwner::Nowhere => {
                    self.metrics.dropped.no_session.inc();
                    Ok(())
                }
            },
        }
    }
}

/// Where a channel leads on this node.
pub(crate) enum ChannelOwner {
    /// To the session of a worker.
    Worker(u8),
    /// To whoever receives from it.
    Queue,
    Nowhere,
}

fn bits(mut word: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        (word != 0).then(|| {
            let bit = word.trailing_zeros();
            word &= word - 1;
            bit
        })
    })
}

#[cfg(test)]
mod tests;
