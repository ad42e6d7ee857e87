//! Subscriptions of groups: wanted by joins, carried out by the bridge, one change at a time per
//! group, and kept for a while after the last member has left.

use std::time::Instant;

use fanfare_protocol::GroupName;

use super::Directory;
use super::wanted::Subscription;
use crate::metrics::NodeMetrics;

impl Directory {
    /// Up to `most` groups to subscribe; some that were wanted may have been given up since.
    pub(crate) fn take_wanted(&self, most: usize) -> Vec<GroupName> {
        let Some(changes) = &self.changes else {
            return Vec::new();
        };
        loop {
            let mut wanted = changes.take_wanted(most);
            let none = wanted.is_empty();
            wanted.retain(|group| {
                let stripe = self.stripe(group);
                let entry = stripe.get(group).map(|entry| &entry.subscription);
                matches!(entry, Some(Subscription::Pending(_)))
            });
            if none || !wanted.is_empty() {
                return wanted;
            }
        }
    }

    /// The layer has not subscribed these groups: those that are still wanted are asked for again.
    pub(crate) fn refused(&self, groups: &[GroupName]) {
        let Some(changes) = &self.changes else { return };
        for group in groups {
            let stripe = self.stripe(group);
            let entry = stripe.get(group).map(|entry| &entry.subscription);
            if matches!(entry, Some(Subscription::Pending(_))) {
                changes.want_again(group);
            }
        }
    }

    /// The layer has acknowledged these groups.
    pub(crate) fn subscribed(&self, groups: &[GroupName]) {
        for group in groups {
            let mut stripe = self.stripe(group);
            let Some(entry) = stripe.get_mut(group) else {
                continue;
            };
            let Subscription::Pending(waiting) = &mut entry.subscription else {
                // Asked for twice, by a bridge and by its successor.
                continue;
            };
            for done in waiting.drain(..) {
                // Whoever gave up waiting has closed its side.
                let _gone = done.send(());
            }
            entry.subscription = Subscription::Active;
            if entry.members == 0
                && let Some(changes) = &self.changes
            {
                changes.emptied(group);
            }
        }
    }

    /// Groups that have been empty long enough, marked as leaving; also those that the layer has
    /// not acknowledged yet, or an outage would gather every name that was ever tried.
    pub(crate) fn start_leaving(&self, now: Instant) -> Vec<GroupName> {
        let Some(changes) = &self.changes else {
            return Vec::new();
        };
        let mut leaving = changes.take_emptied(now);
        leaving.retain(|group| {
            let mut stripe = self.stripe(group);
            match stripe.get_mut(group) {
                Some(entry) if entry.members == 0 => {
                    let leaves = !matches!(entry.subscription, Subscription::Leaving(_));
                    if leaves {
                        entry.subscription = Subscription::Leaving(Vec::new());
                    }
                    leaves
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
            changes.want_again(group);
        }
    }

    /// What a bridge that died had under way is to be done again.
    pub(crate) fn restart_changes(&self) {
        let Some(changes) = &self.changes else { return };
        // Emptied first: what is wanted while the stripes are looked at must stay in the queue.
        changes.forget_wanted();
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
        changes.want_all(wanted);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fanfare_protocol::{Naming, NodeId};
    use prometheus::Registry;

    use super::*;
    use crate::directory::Changes;
    use crate::options::MembershipMode;

    fn directory() -> Directory {
        let metrics = NodeMetrics::new(&Registry::new()).expect("a fresh registry");
        let id = NodeId::random().expect("randomness");
        let changes = Changes::new(Duration::ZERO, MembershipMode::PerNode);
        let queue = fanfare_layer::QueueOptions::default();
        Directory::new(id, Naming::plain("asgi"), Some(changes), queue, metrics)
    }

    fn group() -> GroupName {
        GroupName::parse("a").expect("a legal name")
    }

    #[test]
    fn joins_that_gave_up_waiting_for_a_layer_that_is_away_are_forgotten() {
        let directory = directory();
        for _ in 0..10_000 {
            drop(directory.join(&group(), 0).expect("not acknowledged yet"));
            directory.leave(&group(), 0, true);
        }
        let mut still = directory.join(&group(), 0).expect("not acknowledged yet");
        let stripe = directory.stripe(&group());
        let Some(Subscription::Pending(waiting)) =
            stripe.get(&group()).map(|entry| &entry.subscription)
        else {
            panic!("not pending");
        };
        assert!(waiting.len() < 100, "{} wait", waiting.len());
        drop(stripe);
        directory.subscribed(&[group()]);
        assert_eq!(still.try_recv(), Ok(()));
    }

    #[test]
    fn an_acknowledgement_from_before_a_restart_does_not_undo_a_leaving() {
        let directory = directory();
        let _joined = directory.join(&group(), 0);
        directory.subscribed(&[group()]);
        directory.leave(&group(), 0, true);
        assert_eq!(directory.start_leaving(Instant::now()), [group()]);
        let mut again = directory.join(&group(), 0).expect("it has to wait");
        directory.subscribed(&[group()]);
        assert!(again.try_recv().is_err(), "it is being unsubscribed");
        let metrics = NodeMetrics::new(&Registry::new()).expect("a fresh registry");
        directory.left(&[group()], &metrics);
        directory.subscribed(&[group()]);
        assert_eq!(again.try_recv(), Ok(()));
    }

    #[test]
    fn a_group_that_emptied_before_its_acknowledgement_is_forgotten() {
        let directory = directory();
        drop(directory.join(&group(), 0).expect("not acknowledged yet"));
        directory.leave(&group(), 0, true);
        assert_eq!(directory.start_leaving(Instant::now()), [group()]);
        assert_eq!(directory.take_wanted(10), [], "it is given up");
        let metrics = NodeMetrics::new(&Registry::new()).expect("a fresh registry");
        directory.left(&[group()], &metrics);
        assert!(directory.stripe(&group()).is_empty());
        directory.refused(&[group()]);
        assert_eq!(directory.take_wanted(10), []);
    }

    #[test]
    fn a_group_that_the_layer_refused_is_asked_for_again() {
        let directory = directory();
        let mut joined = directory.join(&group(), 0).expect("not acknowledged yet");
        assert_eq!(directory.take_wanted(10), [group()]);
        directory.refused(&[group()]);
        assert_eq!(directory.take_wanted(10), [group()]);
        directory.subscribed(&[group()]);
        assert_eq!(joined.try_recv(), Ok(()));
    }
}
