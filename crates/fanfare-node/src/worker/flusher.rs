//! Output that programs have for events, written for many sessions in a row.
//!
//! After a fan-out the programs of a thread run one after the other. Were each to write at once, a
//! reader on the other end would be woken for every write and find nothing more: on one machine
//! that costs the writer as much as its own work. So what they have to say is collected for a few
//! sessions and then written in a row. What answers a client's own message is not held back.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Weak;
use std::task::{Poll, Waker};

use super::WorkerThread;
use crate::fan_out::{SlotRef, Slots};

/// Sessions whose output is written in a row.
const ROW: usize = 32;

/// The sessions whose programs have sent something that is not written yet.
#[derive(Default)]
pub(crate) struct Flusher {
    row: RefCell<Vec<SlotRef>>,
    /// Of the task that writes what is left when all programs have had their turn.
    task: RefCell<Option<Waker>>,
}

impl Flusher {
    /// Notes a session, to be written behind the tasks that are ready now; answers whether the row
    /// is full and has to be written at once.
    pub(super) fn defer(&self, member: SlotRef) -> bool {
        let mut row = self.row.borrow_mut();
        row.push(member);
        if row.len() == 1
            && let Some(task) = &*self.task.borrow()
        {
            task.wake_by_ref();
        }
        row.len() >= ROW
    }

    fn is_run_by(&self, waker: &Waker) {
        let mut task = self.task.borrow_mut();
        if !task.as_ref().is_some_and(|task| task.will_wake(waker)) {
            *task = Some(waker.clone());
        }
    }

    /// Writes the row.
    pub(super) fn flush(&self, slots: &mut Slots) {
        for member in self.row.borrow_mut().drain(..) {
            slots.flush(member);
        }
    }

    /// Ends the task.
    pub(super) fn end(&self) {
        if let Some(task) = self.task.take() {
            task.wake();
        }
    }

    /// The task of a worker's thread. It ends with the worker.
    pub(crate) async fn run(worker: Weak<WorkerThread>) {
        poll_fn(|context| {
            let Some(worker) = worker.upgrade() else {
                return Poll::Ready(());
            };
            worker.flusher.is_run_by(context.waker());
            worker.flush_row();
            Poll::Pending
        })
        .await;
    }
}
