//! What this node's receivers of normal channels wait for.

use std::collections::hash_map::Entry;

use fanfare_protocol::{ChannelName, NameMap, NameSet};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::keys::Keys;

/// Which channels are received from on this node, and how many receivers wait. Kept by the layer, so
/// it outlives connections; shared by the hosts, of which any may have the next message.
pub(super) struct Demand {
    state: Mutex<State>,
    /// A channel has become wished for, or is forgotten.
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    wishes: NameMap<ChannelName, Wish>,
    /// Given to whom is served last: the lowest number has waited longest.
    turn: u64,
    /// How often a channel with wishes was forgotten.
    forgotten: u64,
}

/// Never for no message.
struct Wish {
    messages: usize,
    turn: u64,
}

/// What a host is asked for: the keys of the channels, in turn.
pub(super) struct DemandSnapshot {
    pub(super) keys: Vec<(String, ChannelName)>,
    names: NameSet<ChannelName>,
    forgotten: u64,
}

/// What became of a message that was meant for a wish.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Grant<E> {
    Granted,
    /// Nobody waits for it any more.
    Unwanted,
    /// It could not be handed over; the wish stays.
    Refused(E),
}

impl Default for Demand {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            changed: watch::Sender::new(()),
        }
    }
}

impl Demand {
    /// One more receiver waits for a message of a channel.
    pub(super) fn pull(&self, channel: &ChannelName) {
        let mut state = self.state.lock();
        state.turn += 1;
        let turn = state.turn;
        match state.wishes.entry(channel.clone()) {
            Entry::Occupied(mut wish) => {
                wish.get_mut().messages += 1;
                return;
            }
            Entry::Vacant(place) => place.insert(Wish { messages: 1, turn }),
        };
        drop(state);
        self.changed.send_replace(());
    }

    /// Nobody on this node receives from a channel any more.
    pub(super) fn forget(&self, channel: &ChannelName) {
        let mut state = self.state.lock();
        if state.wishes.remove(channel).is_some() {
            state.forgotten += 1;
            drop(state);
            self.changed.send_replace(());
        }
    }

    /// Sees every change from now on.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// What to ask a host for now.
    pub(super) fn snapshot(&self, keys: &Keys) -> DemandSnapshot {
        let state = self.state.lock();
        let mut turns: Vec<_> = (state.wishes.iter())
            .map(|(name, wish)| (wish.turn, name))
            .collect();
        turns.sort_unstable();
        let named = |(_, name): (u64, &ChannelName)| (keys.channel(name.as_str()), name.clone());
        DemandSnapshot {
            keys: turns.into_iter().map(named).collect(),
            names: state.wishes.keys().cloned().collect(),
            forgotten: state.forgotten,
        }
    }

    /// Whether a host that was asked for a plan must be asked anew: it would not bring what is
    /// wished for, or would bring what was given up. A wish that another host has fulfilled is let
    /// be: it comes again soon, as a rule.
    pub(super) fn is_stale(&self, snapshot: &DemandSnapshot) -> bool {
        let state = self.state.lock();
        state.forgotten != snapshot.forgotten
            || state
                .wishes
                .keys()
                .any(|name| !snapshot.names.contains(name))
    }

    /// Fulfils a wish by handing a message over, if there is one. Nothing is forgotten meanwhile.
    pub(super) fn grant<E>(
        &self,
        channel: &ChannelName,
        hand_over: impl FnOnce() -> Result<(), E>,
    ) -> Grant<E> {
        let mut state = self.state.lock();
        state.turn += 1;
        let turn = state.turn;
        let Entry::Occupied(mut wish) = state.wishes.entry(channel.clone()) else {
            return Grant::Unwanted;
        };
        if let Err(back) = hand_over() {
            return Grant::Refused(back);
        }
        wish.get_mut().turn = turn;
        wish.get_mut().messages -= 1;
        if wish.get().messages == 0 {
            wish.remove();
        }
        Grant::Granted
    }
}

#[cfg(test)]
mod tests {
    use fanfare_protocol::{Naming, NodeId};

    use super::*;

    fn name(name: &str) -> ChannelName {
        Naming::plain("asgi").channel(name).unwrap()
    }

    fn request(demand: &Demand) -> Vec<String> {
        let keys = Keys::new("asgi", NodeId::random().unwrap());
        let snapshot = demand.snapshot(&keys);
        snapshot.keys.into_iter().map(|(key, _)| key).collect()
    }

    fn grant(demand: &Demand, channel: &str) -> Grant<()> {
        demand.grant(&name(channel), || Ok(()))
    }

    #[test]
    fn every_pull_is_good_for_one_message() {
        let demand = Demand::default();
        assert_eq!(grant(&demand, "mail"), Grant::Unwanted);
        demand.pull(&name("mail"));
        demand.pull(&name("mail"));
        assert_eq!(
            demand.grant(&name("mail"), || Err("full")),
            Grant::Refused("full")
        );
        assert_eq!(grant(&demand, "mail"), Grant::Granted);
        assert_eq!(request(&demand), ["asgimail"]);
        assert_eq!(grant(&demand, "mail"), Grant::Granted);
        assert_eq!(grant(&demand, "mail"), Grant::Unwanted);
        assert!(request(&demand).is_empty());
    }

    #[test]
    fn a_channel_that_is_forgotten_has_no_wishes() {
        let demand = Demand::default();
        demand.pull(&name("mail"));
        demand.pull(&name("mail"));
        demand.forget(&name("mail"));
        assert_eq!(grant(&demand, "mail"), Grant::Unwanted);
    }

    #[test]
    fn who_was_served_goes_behind_all_others() {
        let demand = Demand::default();
        for channel in ["a", "b", "a", "b", "a"] {
            demand.pull(&name(channel));
        }
        assert_eq!(request(&demand), ["asgia", "asgib"]);
        grant(&demand, "a");
        assert_eq!(request(&demand), ["asgib", "asgia"]);
        demand.pull(&name("c"));
        grant(&demand, "b");
        assert_eq!(request(&demand), ["asgia", "asgic", "asgib"]);
    }

    #[test]
    fn a_plan_is_stale_when_a_channel_is_new_or_forgotten_and_not_when_a_wish_comes_again() {
        let demand = Demand::default();
        let keys = Keys::new("asgi", NodeId::random().unwrap());
        demand.pull(&name("mail"));
        let snapshot = demand.snapshot(&keys);
        demand.pull(&name("mail"));
        grant(&demand, "mail");
        grant(&demand, "mail");
        assert!(!demand.is_stale(&snapshot));
        demand.pull(&name("mail"));
        assert!(!demand.is_stale(&snapshot));
        demand.pull(&name("news"));
        assert!(demand.is_stale(&snapshot));
        let snapshot = demand.snapshot(&keys);
        demand.forget(&name("news"));
        assert!(demand.is_stale(&snapshot));
    }
}
