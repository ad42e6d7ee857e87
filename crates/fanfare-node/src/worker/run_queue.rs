//! The run queue of a worker thread: tasks that have more to do than one turn takes.
//!
//! A task that wakes itself is polled many times before the runtime looks at its sockets. So what
//! cannot be done in one turn waits here, and between two looks at the sockets one task of the queue
//! has a turn: all of them together cost whoever has little to do one slice, however many they are.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::num::NonZeroU32;
use std::rc::Weak;
use std::task::{Poll, Waker};

use super::WorkerThread;
use super::turn::Turn;

/// The memory of an emptied queue is given back beyond this capacity.
const KEPT: usize = 64;

/// A place in the queue. Numbers go round, and 0 is none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TurnNumber(NonZeroU32);

/// The tasks that wait, in the order in which they get their turns.
pub(crate) struct RunQueue {
    waiting: RefCell<VecDeque<Waker>>,
    /// The number of whoever comes next.
    next: Cell<NonZeroU32>,
    /// Of the task that wakes them.
    task: RefCell<Option<Waker>>,
}

impl Default for RunQueue {
    fn default() -> Self {
        Self {
            waiting: RefCell::default(),
            next: Cell::new(NonZeroU32::MIN),
            task: RefCell::default(),
        }
    }
}

impl RunQueue {
    fn enter(&self, waker: &Waker) -> TurnNumber {
        let number = self.next.get();
        self.next
            .set(number.checked_add(1).unwrap_or(NonZeroU32::MIN));
        let mut waiting = self.waiting.borrow_mut();
        waiting.push_back(waker.clone());
        if waiting.len() == 1
            && let Some(task) = &*self.task.borrow()
        {
            task.wake_by_ref();
        }
        TurnNumber(number)
    }

    /// Those who still wait have the last numbers that were given.
    fn is_turn(&self, TurnNumber(number): TurnNumber) -> bool {
        let waiting = self.waiting.borrow().len();
        let (next, number) = (self.next.get().get(), number.get());
        // One number is left out where they go round.
        let ago = if number < next {
            next - number
        } else {
            next.wrapping_sub(number).wrapping_sub(1)
        };
        ago as usize > waiting
    }

    /// Gives the first one its turn.
    fn advance(&self) {
        let mut waiting = self.waiting.borrow_mut();
        let first = waiting.pop_front();
        if waiting.is_empty() && waiting.capacity() > KEPT {
            waiting.shrink_to(KEPT);
        }
        drop(waiting);
        if let Some(first) = first {
            first.wake();
        }
    }

    /// Ends the task.
    pub(super) fn end(&self) {
        if let Some(task) = self.task.take() {
            task.wake();
        }
    }

    /// The task of a worker's thread: one turn after each look at the sockets. It ends with the
    /// worker.
    pub(crate) async fn run(worker: Weak<WorkerThread>) {
        let filled = || {
            poll_fn(|context| {
                let Some(worker) = worker.upgrade() else {
                    return Poll::Ready(false);
                };
                let queue = &worker.run_queue;
                if !queue.waiting.borrow().is_empty() {
                    return Poll::Ready(true);
                }
                let mut task = queue.task.borrow_mut();
                if !task
                    .as_ref()
                    .is_some_and(|it| it.will_wake(context.waker()))
                {
                    *task = Some(context.waker().clone());
                }
                Poll::Pending
            })
        };
        while filled().await {
            tokio::task::yield_now().await;
            if let Some(worker) = worker.upgrade() {
                worker.run_queue.advance();
            }
        }
    }
}

impl WorkerThread {
    /// Queues a task of this thread whose turn is over; it is woken when it has the next one.
    pub fn queue_turn(&self, waker: &Waker) -> TurnNumber {
        self.run_queue.enter(waker)
    }

    /// Whether the task with this number has its turn.
    pub fn is_turn(&self, number: TurnNumber) -> bool {
        self.run_queue.is_turn(number)
    }

    /// Waits for a turn of the run queue. Another task than the one that began to wait begins anew.
    pub async fn next_turn(&self) -> Turn {
        let mut place: Option<(TurnNumber, Waker)> = None;
        poll_fn(|context| {
            let waker = context.waker();
            match &place {
                Some((number, own)) if own.will_wake(waker) => {
                    if self.is_turn(*number) {
                        return Poll::Ready(Turn::queued());
                    }
                }
                _ => place = Some((self.queue_turn(waker), waker.clone())),
            }
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(queue: &RunQueue, count: usize) -> Vec<TurnNumber> {
        let enter = |_| queue.enter(Waker::noop());
        (0..count).map(enter).collect()
    }

    fn turns(queue: &RunQueue, numbers: &[TurnNumber]) -> Vec<bool> {
        numbers.iter().map(|it| queue.is_turn(*it)).collect()
    }

    #[test]
    fn tasks_get_their_turns_one_by_one_in_their_order() {
        let queue = RunQueue::default();
        let numbers = numbers(&queue, 3);
        assert_eq!(turns(&queue, &numbers), [false, false, false]);
        queue.advance();
        assert_eq!(turns(&queue, &numbers), [true, false, false]);
        queue.advance();
        queue.advance();
        assert_eq!(turns(&queue, &numbers), [true, true, true]);
    }

    #[test]
    fn the_order_holds_where_the_numbers_go_round() {
        let queue = RunQueue::default();
        queue.next.set(NonZeroU32::MAX);
        let numbers = numbers(&queue, 3);
        assert_eq!(numbers[1], TurnNumber(NonZeroU32::MIN));
        assert_eq!(turns(&queue, &numbers), [false, false, false]);
        queue.advance();
        assert_eq!(turns(&queue, &numbers), [true, false, false]);
        queue.advance();
        assert_eq!(turns(&queue, &numbers), [true, true, false]);
    }
}
