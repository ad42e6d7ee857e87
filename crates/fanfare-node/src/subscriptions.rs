//! Subscriptions of groups: wanted by joins, carried out by the bridge, one change at a time per
//! group, and kept for a while after the last member has left.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use fanfare_protocol::GroupName;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::directory::Directory;
use crate::metrics::NodeMetrics;

/// Where the subscription of a group stands.
#[derive(Default)]
pub(crate) enum Subscription {
    /// The layer has not been asked.
    #[default]
    None,
    /// Asked for, not acknowledged.
    Pending(Vec<oneshot::Sender<()>>),
    /// Acknowledged.
    Active,
    /// The layer has been asked to take it back; whoever joins meanwhile waits here.
    Leaving(Vec<oneshot::Sender<()>>),
}

/// Groups whose subscription has to change; the bridge reads it. Lives outside the bridge.
pub(crate) struct Changes {
    wanted: Mutex<VecDeque<GroupName>>,
    emptied: Mutex<VecDeque<(Instant, GroupName)>>,
    pub(crate) bridge: AtomicWaker,
    linger: Duration,
}

impl Changes {
    pub(crate) fn new(linger: Duration) -> Self {
        Self {
            wanted: Mutex::default(),
            emptied: Mutex::default(),
            bridge: AtomicWaker::new(),
            linger,
        }
    }

    /// Somebody has joined; called under the lock of the group's stripe.
    pub(crate) fn wanted(
        &self,
        group: &GroupName,
        subscription: &mut Subscription,
    ) -> Option<oneshot::Receiver<()>> {
        let (done, wait) = oneshot::channel();
        match subscription {
            Subscription::Active => return None,
            Subscription::Pending(waiting) | Subscription::Leaving(waiting) => waiting.push(done),
            Subscription::None => {
                *subscription = Subscription::Pending(vec![done]);
                self.wanted.lock().push_back(group.clone());
                self.bridge.wake();
            }
        }
        Some(wait)
    }

    /// The last member has left.
    pub(crate) fn emptied(&self, group: &GroupName) {
        self.emptied
            .lock()
            .push_back((Instant::now() + self.linger, group.clone()));
    }

    /// Up to `most` groups to subscribe.
    pub(crate) fn take_wanted(&self, most: usize) -> Vec<GroupName> {
        let mut wanted = self.wanted.lock();
        let count = wanted.len().min(most);
        wanted.drain(..count).collect()
    }

    fn take_emptied(&self, now: Instant) -> Vec<GroupName> {
        let mut emptied = self.emptied.lock();
        let count = emptied.iter().take_while(|(due, _)| *due <= now).count();
        emptied.drain(..count).map(|(_, group)| group).collect()
    }
}

impl Directory {
    /// The layer has acknowledged these groups.
    pub(crate) fn subscribed(&self, groups: &[GroupName]) {
        for group in groups {
            let mut stripe = self.stripe(group);
            let Some(entry) = stripe.get_mut(group) else {
                continue;
            };
            if let Subscription::Pending(waiting) =
                std::mem::replace(&mut entry.subscription, Subscription::Active)
            {
                for done in waiting {
                    // Whoever gave up waiting has closed its side.
                    let _gone = done.send(());
                }
            }
            if entry.members == 0
                && let Some(changes) = &self.changes
            {
                changes.emptied(group);
            }
        }
    }

    /// Groups that have been empty long enough and are subscribed: marked as leaving.
    pub(crate) fn start_leaving(&self, now: Instant) -> Vec<GroupName> {
        let Some(changes) = &self.changes else {
            return Vec::new();
        };
        let mut leaving = changes.take_emptied(now);
        leaving.retain(|group| {
            let mut stripe = self.stripe(group);
            match stripe.get_mut(group) {
                Some(entry) if entry.members == 0 => {
                    let subscribed = matches!(entry.subscription, Subscription::Active);
                    if subscribed {
                        entry.subscription = Subscription::Leaving(Vec::new());
                    }
                    subscribed
                }
                _ => false,
            }
        });
        leaving
    }

    /// The layer has taken these subscriptions back. Groups that were joined meanwhile are wanted
    /// again; the others are forgotten.
    pub(crate) fn left(&self, groups: &[GroupName], metrics: &NodeMetrics) {
        let Some(changes) = &self.changes else { return };
        for group in groups {
            let mut stripe = self.stripe(group);
            let Some(entry) = stripe.get_mut(group) else {
                continue;
            };
            let Subscription::Leaving(waiting) = std::mem::take(&mut entry.subscription) else {
                continue;
            };
            if entry.members == 0 && waiting.is_empty() {
                stripe.remove(group);
                metrics.groups.dec();
                continue;
            }
            entry.subscription = Subscription::Pending(waiting);
            changes.wanted.lock().push_back(group.clone());
            changes.bridge.wake();
        }
    }

    /// What a bridge that died had under way is to be done again.
    pub(crate) fn restart_changes(&self) {
        let Some(changes) = &self.changes else { return };
        let mut wanted = Vec::new();
        for stripe in self.stripes() {
            for (group, entry) in stripe.lock().iter_mut() {
                if let Subscription::Leaving(waiting) = &mut entry.subscription {
                    entry.subscription = Subscription::Pending(std::mem::take(waiting));
                }
                if matches!(entry.subscription, Subscription::Pending(_)) {
                    wanted.push(group.clone());
                }
            }
        }
        let mut queue = changes.wanted.lock();
        queue.clear();
        queue.extend(wanted);
        drop(queue);
        changes.bridge.wake();
    }
}
