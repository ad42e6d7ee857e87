//! Turns to ask the application: a fair queue over the addresses of clients.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use fanfare_node::Network;
use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Whose questions wait in one queue. Clients without an address share one.
type Asking = Option<Network>;

/// So many turns at once. While all are taken, the addresses that wait get the next ones one after
/// the other, however many questions each has: an address that floods waits behind itself.
pub(super) struct Turns(Arc<Mutex<Queue>>);

/// Held while a question is asked. The next one begins when it is dropped.
pub(super) struct Turn(Arc<Mutex<Queue>>);

struct Queue {
    free: usize,
    /// Hashed with a random key, because strangers choose their addresses. No queue is empty.
    waiting: HashMap<Asking, VecDeque<oneshot::Sender<Turn>>>,
    /// The addresses of `waiting`, the next one first.
    order: VecDeque<Asking>,
}

impl Turns {
    pub(super) fn new(count: usize) -> Self {
        Self(Arc::new(Mutex::new(Queue {
            free: count,
            waiting: HashMap::new(),
            order: VecDeque::new(),
        })))
    }

    /// Waits for a turn. A caller that gives up leaves the queue.
    pub(super) async fn take(&self, asking: Asking) -> Turn {
        let turn = {
            let mut queue = self.0.lock();
            if queue.free > 0 {
                queue.free -= 1;
                return Turn(Arc::clone(&self.0));
            }
            queue.wait(asking)
        };
        match turn.await {
            Ok(turn) => turn,
            // Nobody drops the other end of one that still waits.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Queue {
    fn wait(&mut self, asking: Asking) -> oneshot::Receiver<Turn> {
        let (turn, taken) = oneshot::channel();
        let queue = self.waiting.entry(asking).or_default();
        if queue.is_empty() {
            self.order.push_back(asking);
        }
        queue.push_back(turn);
        taken
    }

    /// Takes the next who still waits out of the queue, and forgets those in front who gave up.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        while let Some(asking) = self.order.pop_front() {
            let Some(queue) = self.waiting.get_mut(&asking) else {
                continue;
            };
            let next = std::iter::from_fn(|| queue.pop_front()).find(|turn| !turn.is_closed());
            if queue.is_empty() {
                self.waiting.remove(&asking);
            } else {
                self.order.push_back(asking);
            }
            if next.is_some() {
                return next;
            }
        }
        None
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = {
            let mut queue = self.0.lock();
            let next = queue.next();
            if next.is_none() {
                queue.free += 1;
            }
            next
        };
        if let Some(next) = next {
            // Whoever gave up meanwhile drops the turn, and so passes it on.
            drop(next.send(Self(Arc::clone(&self.0))));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use futures_util::future::LocalBoxFuture;

    use super::*;

    fn address(last: u8) -> Asking {
        Some(Network::of([192, 0, 2, last].into()))
    }

    /// Somebody who waits; polled once, so that it stands in the queue.
    fn waits(turns: &Turns, asking: Asking) -> LocalBoxFuture<'_, Turn> {
        let mut turn = turns.take(asking).boxed_local();
        assert!((&mut turn).now_or_never().is_none(), "there was a turn");
        turn
    }

    fn take(turns: &Turns) -> Turn {
        turns.take(None).now_or_never().expect("a turn is free")
    }

    #[test]
    fn addresses_get_turns_one_after_the_other_however_many_questions_each_has() {
        let turns = Turns::new(1);
        let first = take(&turns);
        let mut flood: Vec<_> = (0..100).map(|_| waits(&turns, address(1))).collect();
        let mut other = waits(&turns, address(2));
        let mut unix = waits(&turns, None);
        drop(first);
        let first = (&mut flood[0])
            .now_or_never()
            .expect("the first who waited");
        assert!((&mut other).now_or_never().is_none());
        drop(first);
        let second = (&mut other).now_or_never().expect("the other address");
        drop(second);
        let third = (&mut unix)
            .now_or_never()
            .expect("the one without an address");
        drop(third);
        let fourth = (&mut flood[1]).now_or_never().expect("the flood again");
        drop(fourth);
    }

    #[test]
    fn who_gives_up_takes_no_turn_and_leaves_nothing_behind() {
        let turns = Turns::new(2);
        let running = [take(&turns), take(&turns)];
        let gone: Vec<_> = (0..10).map(|_| waits(&turns, address(1))).collect();
        let mut waiting = waits(&turns, address(1));
        drop(gone);
        // One that is given its turn and does not look any more.
        let late = waits(&turns, address(2));
        drop(running);
        let turn = (&mut waiting).now_or_never().expect("its turn");
        drop(late);
        drop(turn);
        let queue = turns.0.lock();
        assert_eq!(queue.free, 2);
        assert!(queue.waiting.is_empty() && queue.order.is_empty());
    }
}
