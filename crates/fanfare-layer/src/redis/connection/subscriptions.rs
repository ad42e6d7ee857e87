//! What this node wants subscribed from one host, and who waits for them.

use std::mem;

use fanfare_protocol::{NameMap, NameSet};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::{LayerMetrics, SubscribeError, Subscription};

/// Waiters kept before those whose callers have given up are looked for.
const WAITERS_UNCHECKED: usize = 64;

type Answer = Result<(), SubscribeError>;

/// The wanted state and the way to it. Callers change what is wanted; the host's task compares it
/// with what Redis has acknowledged and sends the difference, one round at a time. So changes of a
/// subscription are serialised, and a broken connection loses none of them.
pub(in crate::redis) struct Subscriptions {
    state: Mutex<State>,
    changed: Notify,
    metrics: LayerMetrics,
}

#[derive(Default)]
struct State {
    /// Those that are wanted, acknowledged or both: one table, because users have a group each.
    known: NameMap<Subscription, Standing>,
    /// How many this connection has acknowledged.
    acknowledged: i64,
    /// Those whose wanted state was changed since the last round.
    touched: NameSet<Subscription>,
    /// Whether there is a connection.
    connected: bool,
    closed: bool,
    waiters: Vec<Waiter>,
    check_waiters_at: usize,
    next_call: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Standing {
    wanted: bool,
    /// By this connection.
    acknowledged: bool,
}

struct Waiter {
    call: u64,
    /// What must be wanted still for the answer to be yes.
    subscriptions: Vec<Subscription>,
    answer: oneshot::Sender<Answer>,
}

/// What to tell Redis next.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::redis) struct Round {
    pub(in crate::redis) subscribe: Vec<Subscription>,
    pub(in crate::redis) unsubscribe: Vec<Subscription>,
    /// Calls below this one are answered by this round.
    calls: u64,
}

impl Subscriptions {
    pub(in crate::redis) fn new(metrics: LayerMetrics) -> Self {
        Self {
            state: Mutex::default(),
            changed: Notify::new(),
            metrics,
        }
    }

    /// Wants subscriptions; the answer comes once Redis has acknowledged every one.
    pub(in crate::redis) fn add(
        &self,
        subscriptions: Vec<Subscription>,
    ) -> oneshot::Receiver<Answer> {
        let mut state = self.state.lock();
        let (answer, answered) = oneshot::channel();
        if state.closed {
            // The caller cannot have dropped the other end yet.
            let _ = answer.send(Err(SubscribeError("it is closed".into())));
            return answered;
        }
        for subscription in &subscriptions {
            let standing = state.known.entry(subscription.clone()).or_default();
            standing.wanted = true;
        }
        // The next connection begins with everything that is wanted.
        if state.connected {
            state.touched.extend(subscriptions.iter().cloned());
        }
        state.wait(subscriptions, answer);
        drop(state);
        self.changed.notify_one();
        answered
    }

    /// Wants subscriptions no more. Without a connection there is nothing to take back, and callers
    /// that wait for one of them are told so: the connection may never come.
    pub(in crate::redis) fn remove(
        &self,
        subscriptions: Vec<Subscription>,
    ) -> oneshot::Receiver<Answer> {
        let mut state = self.state.lock();
        let (answer, answered) = oneshot::channel();
        for subscription in &subscriptions {
            state.update(subscription, |standing| standing.wanted = false);
        }
        if state.connected {
            state.touched.extend(subscriptions);
            state.wait(Vec::new(), answer);
            drop(state);
            self.changed.notify_one();
        } else {
            // The caller cannot have dropped the other end yet.
            let _ = answer.send(Ok(()));
            state.answer_unwanted();
        }
        answered
    }

    /// Whether a subscription is wanted.
    pub(in crate::redis) fn wants(&self, subscription: &Subscription) -> bool {
        self.state.lock().standing(subscription).wanted
    }

    /// A new connection: everything that is wanted.
    pub(in crate::redis) fn connected(&self) -> Round {
        let mut state = self.state.lock();
        state.connected = true;
        state.touched = state.known.keys().cloned().collect();
        state.round()
    }

    /// The next difference. Taken only when the round before is settled.
    pub(in crate::redis) async fn next(&self) -> Round {
        loop {
            {
                let mut state = self.state.lock();
                if !state.touched.is_empty() {
                    return state.round();
                }
            }
            self.changed.notified().await;
        }
    }

    /// Redis has acknowledged a round.
    pub(in crate::redis) fn acknowledged(&self, round: Round) {
        let mut state = self.state.lock();
        let before = state.acknowledged;
        for subscription in &round.unsubscribe {
            state.update(subscription, |standing| standing.acknowledged = false);
        }
        for subscription in &round.subscribe {
            state.update(subscription, |standing| standing.acknowledged = true);
        }
        self.metrics.subscriptions.add(state.acknowledged - before);
        let mut answered = Vec::new();
        for waiter in mem::take(&mut state.waiters) {
            if waiter.call >= round.calls {
                state.waiters.push(waiter);
            } else if state.wants_all(&waiter) {
                answered.push((waiter.answer, Ok(())));
            } else {
                answered.push((waiter.answer, Err(taken_back())));
            }
        }
        drop(state);
        for (answer, outcome) in answered {
            // A caller that gave up has dropped its end.
            let _ = answer.send(outcome);
        }
    }

    /// The connection is gone, and with it every acknowledgement.
    pub(in crate::redis) fn lost(&self) {
        let mut state = self.state.lock();
        state.connected = false;
        self.metrics.subscriptions.sub(state.acknowledged);
        state.acknowledged = 0;
        state.known.retain(|_, standing| {
            standing.acknowledged = false;
            standing.wanted
        });
        state.touched.clear();
        state.answer_unwanted();
    }

    /// Wants nothing any more; whoever waits is told.
    pub(in crate::redis) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.known.retain(|_, standing| {
            standing.wanted = false;
            standing.acknowledged
        });
        state.touched.clear();
        let waiters = mem::take(&mut state.waiters);
        drop(state);
        for waiter in waiters {
            let _ = waiter
                .answer
                .send(Err(SubscribeError("it is closed".into())));
        }
    }
}

impl State {
    fn standing(&self, subscription: &Subscription) -> Standing {
        self.known.get(subscription).copied().unwrap_or_default()
    }

    /// Changes what is known of a subscription.
    fn update(&mut self, subscription: &Subscription, change: impl FnOnce(&mut Standing)) {
        let before = self.standing(subscription);
        let mut standing = before;
        change(&mut standing);
        self.acknowledged += i64::from(standing.acknowledged) - i64::from(before.acknowledged);
        if standing.wanted || standing.acknowledged {
            self.known.insert(subscription.clone(), standing);
        } else {
            self.known.remove(subscription);
        }
    }

    fn wants_all(&self, waiter: &Waiter) -> bool {
        let mut subscriptions = waiter.subscriptions.iter();
        subscriptions.all(|subscription| self.standing(subscription).wanted)
    }

    fn wait(&mut self, subscriptions: Vec<Subscription>, answer: oneshot::Sender<Answer>) {
        if self.waiters.len() >= self.check_waiters_at.max(WAITERS_UNCHECKED) {
            self.waiters.retain(|waiter| !waiter.answer.is_closed());
            self.check_waiters_at = self.waiters.len() * 2;
        }
        let call = self.next_call;
        self.next_call += 1;
        self.waiters.push(Waiter {
            call,
            subscriptions,
            answer,
        });
    }

    /// Answers the callers whose subscriptions are not wanted any more.
    fn answer_unwanted(&mut self) {
        let waiters = mem::take(&mut self.waiters);
        let (wanted, unwanted): (Vec<_>, Vec<_>) = waiters
            .into_iter()
            .partition(|waiter| self.wants_all(waiter));
        self.waiters = wanted;
        for waiter in unwanted {
            // A caller that gave up has dropped its end.
            let _ = waiter.answer.send(Err(taken_back()));
        }
    }

    fn round(&mut self) -> Round {
        let mut round = Round {
            calls: self.next_call,
            ..Round::default()
        };
        for subscription in mem::take(&mut self.touched) {
            let Standing {
                wanted,
                acknowledged,
            } = self.standing(&subscription);
            // Others put members into groups and take them out: what was acknowledged says little.
            let moot =
                !matches!(subscription, Subscription::SessionInGroup(_)) && wanted == acknowledged;
            match wanted {
                _ if moot => {}
                true => round.subscribe.push(subscription),
                false => round.unsubscribe.push(subscription),
            }
        }
        round
    }
}

fn taken_back() -> SubscribeError {
    SubscribeError("it was taken back meanwhile".into())
}

#[cfg(test)]
mod tests {
    use fanfare_protocol::GroupName;

    use super::*;

    fn subscriptions() -> Subscriptions {
        Subscriptions::new(LayerMetrics::new(&prometheus::Registry::new()).unwrap())
    }

    fn group(name: &str) -> Subscription {
        Subscription::Group(GroupName::parse(name).unwrap())
    }

    #[test]
    fn what_is_wanted_before_the_connection_is_answered_by_its_first_round() {
        let subscriptions = subscriptions();
        let mut answered = subscriptions.add(vec![group("a")]);
        let round = subscriptions.connected();
        assert_eq!(round.subscribe, [group("a")]);
        assert!(
            answered.try_recv().is_err(),
            "answered before the acknowledgement"
        );
        subscriptions.acknowledged(round);
        assert_eq!(answered.try_recv(), Ok(Ok(())));
        assert_eq!(subscriptions.metrics.subscriptions.get(), 1);
    }

    #[tokio::test]
    async fn a_group_taken_back_and_wanted_again_stays_subscribed() {
        let subscriptions = subscriptions();
        drop(subscriptions.add(vec![group("a")]));
        subscriptions.acknowledged(subscriptions.connected());
        let mut removed = subscriptions.remove(vec![group("a")]);
        let mut added = subscriptions.add(vec![group("a")]);
        let round = subscriptions.next().await;
        assert!(round.subscribe.is_empty() && round.unsubscribe.is_empty());
        subscriptions.acknowledged(round);
        assert_eq!(
            (removed.try_recv(), added.try_recv()),
            (Ok(Ok(())), Ok(Ok(())))
        );
    }

    #[test]
    fn a_call_made_during_a_round_waits_for_the_next() {
        let subscriptions = subscriptions();
        let round = subscriptions.connected();
        let mut late = subscriptions.add(vec![group("b")]);
        subscriptions.acknowledged(round);
        assert!(late.try_recv().is_err());
    }

    #[test]
    fn a_lost_connection_asks_for_everything_again_and_keeps_who_waits() {
        let subscriptions = subscriptions();
        drop(subscriptions.add(vec![group("a")]));
        subscriptions.acknowledged(subscriptions.connected());
        let mut waiting = subscriptions.add(vec![group("b")]);
        subscriptions.lost();
        assert_eq!(subscriptions.metrics.subscriptions.get(), 0);
        let round = subscriptions.connected();
        assert_eq!(round.subscribe.len(), 2);
        subscriptions.acknowledged(round);
        assert_eq!(waiting.try_recv(), Ok(Ok(())));
        assert_eq!(subscriptions.metrics.subscriptions.get(), 2);
    }

    #[test]
    fn a_membership_is_written_again_because_others_may_have_taken_it_back() {
        let subscriptions = subscriptions();
        subscriptions.acknowledged(subscriptions.connected());
        let naming = fanfare_protocol::Naming::plain("asgi");
        let member = Subscription::session_in_group(
            GroupName::parse("a").unwrap(),
            naming.channel("x!y").unwrap(),
        );
        for _ in 0..2 {
            drop(subscriptions.add(vec![member.clone()]));
            let round = subscriptions.state.lock().round();
            assert_eq!(round.subscribe, std::slice::from_ref(&member));
            subscriptions.acknowledged(round);
            assert_eq!(subscriptions.metrics.subscriptions.get(), 1);
        }
    }

    #[test]
    fn names_that_are_wanted_and_taken_back_without_a_connection_leave_nothing_behind() {
        let subscriptions = subscriptions();
        for number in 0..1000 {
            let name = group(&format!("g{number}"));
            let mut waiting = subscriptions.add(vec![name.clone()]);
            drop(subscriptions.remove(vec![name]));
            assert_eq!(waiting.try_recv(), Ok(Err(taken_back())));
        }
        let state = subscriptions.state.lock();
        let sizes = [state.waiters.len(), state.known.len(), state.touched.len()];
        assert_eq!(sizes, [0, 0, 0]);
    }

    #[test]
    fn who_waits_for_what_was_taken_back_is_told_when_the_connection_is_lost() {
        let subscriptions = subscriptions();
        subscriptions.acknowledged(subscriptions.connected());
        let mut waiting = subscriptions.add(vec![group("a")]);
        drop(subscriptions.remove(vec![group("a")]));
        assert!(waiting.try_recv().is_err(), "the next round answers");
        subscriptions.lost();
        assert_eq!(waiting.try_recv(), Ok(Err(taken_back())));
    }

    #[test]
    fn callers_that_gave_up_do_not_pile_up() {
        let subscriptions = subscriptions();
        for _ in 0..10_000 {
            drop(subscriptions.add(vec![group("a")]));
        }
        assert!(subscriptions.state.lock().waiters.len() <= 2 * WAITERS_UNCHECKED);
    }
}
