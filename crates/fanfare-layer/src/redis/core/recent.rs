//! What came to the groups of this node lately.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;

use fanfare_protocol::{ChannelName, Envelope, GroupName};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Events that are remembered.
const MOST: usize = 64;
/// Larger ones are not: they would be kept for long.
const LARGEST: usize = 64 << 10;

/// The last events of groups, to find out whether an event that came for one session is the same.
#[derive(Default)]
pub(super) struct Recent {
    events: Mutex<VecDeque<Event>>,
    noted: Notify,
}

struct Event {
    group: GroupName,
    envelope: Arc<Envelope>,
    /// Sessions for which the same event came by their own names.
    claimed: Vec<ChannelName>,
}

impl Recent {
    /// An event of so many bytes has come for a group.
    pub(super) fn note(&self, group: &GroupName, envelope: &Arc<Envelope>, bytes: usize) {
        if bytes > LARGEST {
            return;
        }
        let mut events = self.events.lock();
        if events.len() >= MOST {
            events.pop_front();
        }
        events.push_back(Event {
            group: group.clone(),
            envelope: envelope.clone(),
            claimed: Vec::new(),
        });
        drop(events);
        self.noted.notify_waiters();
    }

    /// Waits until an event has come for one of some groups too; for ever, if it does not. It is so
    /// once for each session, and then no more: the next one like it is another.
    pub(super) async fn wait_for(
        &self,
        groups: &[&GroupName],
        channel: &ChannelName,
        envelope: &Envelope,
    ) {
        loop {
            let mut noted = pin!(self.noted.notified());
            // Before the look, so that what comes behind the look wakes it.
            noted.as_mut().enable();
            if self.claim(groups, channel, envelope) {
                return;
            }
            noted.await;
        }
    }

    fn claim(&self, groups: &[&GroupName], channel: &ChannelName, envelope: &Envelope) -> bool {
        let mut events = self.events.lock();
        let same = events.iter_mut().find(|event| {
            *event.envelope == *envelope
                && groups.contains(&&event.group)
                && !event.claimed.contains(channel)
        });
        let Some(event) = same else { return false };
        event.claimed.push(channel.clone());
        true
    }
}

#[cfg(test)]
mod tests {
    use fanfare_protocol::Naming;

    use super::*;

    fn group(name: &str) -> GroupName {
        GroupName::parse(name).unwrap()
    }

    fn event(kind: &str) -> Arc<Envelope> {
        Arc::new(fanfare_protocol::Event::new(kind.to_owned()).into())
    }

    #[test]
    fn an_event_is_the_same_once_for_each_session_and_in_its_own_group_only() {
        let recent = Recent::default();
        let session = |name| Naming::plain("asgi").channel(name).unwrap();
        let (a, b) = (session("x!a"), session("x!b"));
        recent.note(&group("red"), &event("one"), 10);
        recent.note(&group("red"), &event("one"), 10);
        let claim = |group: &GroupName, session: &ChannelName, kind: &str| {
            recent.claim(&[group], session, &event(kind))
        };
        let (red, blue) = (group("red"), group("blue"));
        assert!(!claim(&blue, &a, "one") && !claim(&red, &a, "two"));
        assert!(claim(&red, &a, "one") && claim(&red, &a, "one"));
        assert!(!claim(&red, &a, "one"), "it came twice, not three times");
        assert!(claim(&red, &b, "one"));
    }

    #[tokio::test]
    async fn an_event_that_comes_later_is_waited_for() {
        let recent = Recent::default();
        let session = Naming::plain("asgi").channel("x!a").unwrap();
        let red = group("red");
        let awaited = event("one");
        let later = async { recent.note(&red, &event("one"), 10) };
        let groups = [&red];
        tokio::join!(recent.wait_for(&groups, &session, &awaited), later);
    }

    #[test]
    fn old_and_large_events_are_forgotten() {
        let recent = Recent::default();
        let session = Naming::plain("asgi").channel("x!a").unwrap();
        let red = group("red");
        recent.note(&red, &event("large"), LARGEST + 1);
        recent.note(&red, &event("old"), 1);
        (0..MOST).for_each(|_| recent.note(&red, &event("new"), 1));
        for kind in ["large", "old"] {
            assert!(!recent.claim(&[&red], &session, &event(kind)));
        }
    }
}
