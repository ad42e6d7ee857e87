//! Subscriptions of groups: wanted by joins, carried out by the bridge, one change at a time per
//! group, and kept for a while after the last member has left.

use std::task::Waker;
use std::time::Instant;

use fanfare_protocol::GroupName;

use super::Directory;
use super::wanted::{Request, Subscription};

impl Directory {
    /// Up to `most` requests to the layer; `bridge` is woken when there are more.
    pub(crate) fn next_requests(&self, most: usize, bridge: &Waker) -> Vec<Request> {
        let Some(changes) = &self.changes else {
            return Vec::new();
        };
        let mut requests = Vec::new();
        for group in changes.take_wanted(most, bridge) {
            let mut stripe = self.stripe(&group);
            let entry = stripe.get_mut(&group).map(|entry| &mut entry.subscription);
            // Some that were wanted have been given up since.
            if let Some(Subscription::Pending(asked)) = entry {
                let number = changes.number();
                asked.number = number;
                drop(stripe);
                requests.push(Request { group, number });
            }
        }
        requests
    }

    /// The layer has refused a request: its group is asked for again if it is still wanted.
    pub(super) fn refused(&self, request: &Request) {
        let Some(changes) = &self.changes else { return };
        let stripe = self.stripe(&request.group);
        let entry = stripe.get(&request.group).map(|entry| &entry.subscription);
        if let Some(Subscription::Pending(asked)) = entry
            && asked.number == request.number
        {
            changes.want(&request.group);
        }
    }

    /// The layer has acknowledged a request.
    pub(super) fn subscribed(&self, request: &Request) {
        let group = &request.group;
        let mut stripe = self.stripe(group);
        let Some(entry) = stripe.get_mut(group) else {
            return;
        };
        match &mut entry.subscription {
            Subscription::Pending(asked) if asked.number == request.number => {
                for done in asked.waiting.drain(..) {
                    // Whoever gave up waiting has closed its side.
                    let _gone = done.send(());
                }
            }
            // The group was taken back after this request, and may have been asked for again.
            _ => return,
        }
        entry.subscription = Subscription::Active;
        if entry.members == 0
            && let Some(changes) = &self.changes
        {
            changes.emptied(group);
        }
    }

    /// Groups that have been empty long enough, marked as leaving; also those that the layer has
    /// not acknowledged yet, or an outage would gather every name that was ever tried.
    pub(super) fn start_leaving(&self, now: Instant) -> Vec<GroupName> {
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
                        entry.subscription = Subscription::Leaving(Box::default());
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
    pub(super) fn left(&self, groups: &[GroupName]) {
        let Some(changes) = &self.changes else { return };
        for group in groups {
            let mut stripe = self.stripe(group);
            let Some(entry) = stripe.get_mut(group) else {
                continue;
            };
            let Subscription::Leaving(asked) = &mut entry.subscription else {
                continue;
            };
            if entry.members == 0 {
                // Whoever still waits has left.
                stripe.remove(group);
                self.metrics.groups.dec();
                continue;
            }
            entry.subscription = Subscription::Pending(std::mem::take(asked));
            changes.want(group);
        }
    }

    /// What a bridge that died had under way is to be done again.
    pub(super) fn restart_changes(&self) {
        let Some(changes) = &self.changes else { return };
        // Emptied first: what is wanted while the stripes are looked at must stay in the queue.
        changes.forget_wanted();
        let mut wanted = Vec::new();
        for stripe in self.stripes() {
            for (group, entry) in stripe.lock().iter_mut() {
                if let Subscription::Leaving(asked) = &mut entry.subscription {
                    entry.subscription = Subscription::Pending(std::mem::take(asked));
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
    use crate::metrics::NodeMetrics;
    use crate::options::MembershipMode;

    fn directory() -> Directory {
        let metrics = NodeMetrics::new(&Registry::new()).expect("a fresh registry");
        let id = NodeId::random().expect("randomness");
        let changes = Changes::new(Duration::ZERO, MembershipMode::PerNode);
        let queue = fanfare_layer::QueueOptions::default();
        let queue = (queue, fanfare_layer::MemoryBudget::unlimited());
        Directory::new(id, Naming::plain("asgi"), Some(changes), queue, metrics)
    }

    fn group() -> GroupName {
        GroupName::parse("a").expect("a legal name")
    }

    fn requests(directory: &Directory) -> Vec<Request> {
        directory.next_requests(10, Waker::noop())
    }

    /// The one request that there is.
    fn request(directory: &Directory) -> Request {
        let mut requests = requests(directory);
        assert_eq!(requests.len(), 1);
        requests.remove(0)
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
        let Some(Subscription::Pending(asked)) =
            stripe.get(&group()).map(|entry| &entry.subscription)
        else {
            panic!("not pending");
        };
        let waiting = asked.waiting.len();
        assert!(waiting < 100, "{waiting} wait");
        drop(stripe);
        directory.subscribed(&request(&directory));
        assert_eq!(still.try_recv(), Ok(()));
    }

    #[test]
    fn an_acknowledgement_from_before_an_unsubscription_counts_no_more() {
        let directory = directory();
        let mut first = directory.join(&group(), 0).expect("it has to wait");
        let late = request(&directory);
        directory.leave(&group(), 0, true);
        assert_eq!(directory.start_leaving(Instant::now()), [group()]);
        let mut again = directory.join(&group(), 0).expect("it has to wait");
        directory.subscribed(&late);
        assert!(again.try_recv().is_err(), "it is being unsubscribed");
        assert!(first.try_recv().is_err(), "it has left");
        directory.left(&[group()]);
        let last = request(&directory);
        directory.subscribed(&late);
        assert!(again.try_recv().is_err(), "the layer has not answered yet");
        directory.subscribed(&last);
        assert_eq!(again.try_recv(), Ok(()));
    }

    #[test]
    fn a_group_that_emptied_before_its_acknowledgement_is_forgotten() {
        let directory = directory();
        drop(directory.join(&group(), 0).expect("not acknowledged yet"));
        directory.leave(&group(), 0, true);
        assert_eq!(directory.start_leaving(Instant::now()), [group()]);
        assert_eq!(requests(&directory), [], "it is given up");
        directory.left(&[group()]);
        assert!(directory.stripe(&group()).is_empty());
    }

    #[test]
    fn a_group_that_the_layer_refused_is_asked_for_again() {
        let directory = directory();
        let mut joined = directory.join(&group(), 0).expect("not acknowledged yet");
        directory.refused(&request(&directory));
        let second = request(&directory);
        directory.subscribed(&second);
        assert_eq!(joined.try_recv(), Ok(()));
        directory.refused(&second);
        assert_eq!(requests(&directory), [], "it is there");
    }
}
