//! What the application has decided, for a short time, and the requests that are running.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::Outcome;
use super::answer::Verdict;
use super::question::Key;

/// A request that any number of handshakes wait for; it ends with the last of them.
type Running = Shared<BoxFuture<'static, Outcome>>;

/// Answers by question.
pub(super) struct Answers {
    state: Mutex<State>,
    /// How long a decision counts; zero keeps none.
    lifetime: Duration,
    /// How many decisions are kept; the oldest goes first.
    capacity: usize,
}

#[derive(Default)]
struct State {
    /// Weak, so that a request which nobody waits for any more is given up.
    running: HashMap<Key, (u64, WeakShared<BoxFuture<'static, Outcome>>)>,
    decided: HashMap<Key, (Instant, Verdict)>,
    /// The keys of `decided` with their ends; all live equally long, so the order is that of both.
    order: VecDeque<(Instant, Key)>,
    /// Requests started so far: tells one that was given up from its successor.
    started: u64,
}

/// What there is for a question.
pub(super) enum Found {
    /// A decision.
    Decided(Verdict),
    /// A request that somebody else started.
    Running(Running),
    /// A request that begins now.
    Started(Running),
}

/// The end of a running request, also of one that is given up.
pub(super) struct Landing {
    answers: Arc<Answers>,
    key: Key,
    serial: u64,
    decision: Option<Verdict>,
}

impl Answers {
    pub(super) fn new(lifetime: Duration, capacity: usize) -> Self {
        Self {
            state: Mutex::default(),
            lifetime,
            capacity,
        }
    }

    /// The decision or the running request for a key, or the one that `start` makes. What it makes
    /// must hold the [`Landing`] and give its outcome to it; `start` itself must not drop it, because
    /// the answers are locked around it.
    pub(super) fn find(
        self: &Arc<Self>,
        key: Key,
        start: impl FnOnce(Landing) -> BoxFuture<'static, Outcome>,
    ) -> Found {
        let mut state = self.state.lock();
        state.forget(Instant::now());
        if let Some((_, verdict)) = state.decided.get(&key) {
            return Found::Decided(verdict.clone());
        }
        let running = state.running.get(&key);
        if let Some(running) = running.and_then(|(_, running)| running.upgrade()) {
            return Found::Running(running);
        }
        state.started += 1;
        let serial = state.started;
        let running = start(Landing {
            answers: Arc::clone(self),
            key,
            serial,
            decision: None,
        })
        .shared();
        if let Some(weak) = running.downgrade() {
            state.running.insert(key, (serial, weak));
        }
        Found::Started(running)
    }

    fn land(&self, key: Key, serial: u64, decision: Option<Verdict>) {
        let mut state = self.state.lock();
        if state
            .running
            .get(&key)
            .is_some_and(|(own, _)| *own == serial)
        {
            state.running.remove(&key);
        }
        let Some(verdict) = decision.filter(|_| !self.lifetime.is_zero()) else {
            return;
        };
        let now = Instant::now();
        state.forget(now);
        while state.order.len() >= self.capacity {
            state.forget_oldest();
        }
        let end = now + self.lifetime;
        state.decided.insert(key, (end, verdict));
        state.order.push_back((end, key));
    }
}

impl State {
    /// Drops what is too old.
    fn forget(&mut self, now: Instant) {
        while self.order.front().is_some_and(|(end, _)| *end <= now) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((end, key)) = self.order.pop_front()
            && self.decided.get(&key).is_some_and(|(own, _)| *own == end)
        {
            self.decided.remove(&key);
        }
    }
}

impl Landing {
    /// Passes an outcome on; a decision is kept.
    pub(super) fn land(mut self, outcome: Outcome) -> Outcome {
        self.decision = outcome.as_ref().ok().cloned();
        outcome
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.answers
            .land(self.key, self.serial, self.decision.take());
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::super::Unavailable;
    use super::super::answer::Denial;
    use super::*;

    const REFUSED: Verdict = Verdict::Refused(Denial::NotAllowed);

    fn answers(lifetime_ms: u64, capacity: usize) -> Arc<Answers> {
        let lifetime = Duration::from_millis(lifetime_ms);
        Arc::new(Answers::new(lifetime, capacity))
    }

    fn key(number: u8) -> Key {
        [number; 32]
    }

    fn decide(answers: &Arc<Answers>, number: u8, outcome: Outcome) {
        let expected = outcome.clone();
        let found = answers.find(key(number), |landing| {
            async move { landing.land(outcome) }.boxed()
        });
        let Found::Started(running) = found else {
            panic!("there was an answer already");
        };
        assert_eq!(running.now_or_never(), Some(expected));
    }

    /// What there is; a request that begins with this has no end.
    fn find(answers: &Arc<Answers>, number: u8) -> Found {
        answers.find(key(number), |landing| {
            async move { landing.land(pending().await) }.boxed()
        })
    }

    fn is_decided(answers: &Arc<Answers>, number: u8) -> bool {
        matches!(find(answers, number), Found::Decided(_))
    }

    #[tokio::test(start_paused = true)]
    async fn a_decision_counts_for_its_time_and_no_longer() {
        let answers = answers(1000, 10);
        decide(&answers, 1, Ok(REFUSED));
        tokio::time::advance(Duration::from_millis(999)).await;
        assert!(is_decided(&answers, 1));
        assert!(!is_decided(&answers, 2));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!is_decided(&answers, 1));
        assert!(answers.state.lock().order.is_empty());
        assert!(answers.state.lock().decided.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_decides_nothing_is_not_kept_and_neither_is_anything_without_a_lifetime() {
        let kept = answers(1000, 10);
        decide(&kept, 1, Err(Unavailable));
        assert!(!is_decided(&kept, 1));
        let off = answers(0, 10);
        decide(&off, 1, Ok(REFUSED));
        assert!(!is_decided(&off, 1));
        assert!(off.state.lock().order.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_decision_makes_room() {
        let answers = answers(1000, 2);
        for number in 1..=3 {
            decide(&answers, number, Ok(REFUSED));
        }
        assert!(!is_decided(&answers, 1));
        assert!(is_decided(&answers, 2) && is_decided(&answers, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_is_shared_while_somebody_waits_for_it_and_given_up_after() {
        let answers = answers(1000, 2);
        let find = || find(&answers, 1);
        let first = find();
        assert!(matches!(first, Found::Started(_)));
        let second = find();
        assert!(matches!(second, Found::Running(_)));
        drop(first);
        assert!(matches!(find(), Found::Running(_)));
        drop(second);
        assert!(answers.state.lock().running.is_empty());
        assert!(matches!(find(), Found::Started(_)));
    }
}
