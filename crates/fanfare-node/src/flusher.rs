//! Output that programs have for events, written for many sessions in a row.
//!
//! After a fan-out the programs of a thread run one after the other. Were each to write at once, a
//! reader on the other end would be woken for every write and find nothing more: on one machine
//! that costs the writer as much as its own work. So what they have to say is collected for a few
//! sessions and then written in a row. What answers a client's own message is not held back.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::{Rc, Weak};
use std::task::{Poll, Waker};

use crate::port::Mailbox;
use crate::worker::WorkerThread;

/// Sessions whose output is written in a row.
const ROW: usize = 32;

/// See the module.
#[derive(Default)]
pub(crate) struct Flusher {
    ports: RefCell<Vec<Rc<Mailbox>>>,
    /// Of the task that writes what is left when all programs have had their turn.
    task: RefCell<Option<Waker>>,
}

impl Flusher {
    /// Writes the port's output soon: when the row is full, or behind the tasks that are ready now.
    pub(crate) fn defer(&self, port: Rc<Mailbox>) {
        let mut ports = self.ports.borrow_mut();
        ports.push(port);
        match ports.len() {
            1 => {
                if let Some(task) = &*self.task.borrow() {
                    task.wake_by_ref();
                }
            }
            ROW.. => {
                drop(ports);
                self.flush();
            }
            _ => {}
        }
    }

    fn is_run_by(&self, waker: &Waker) {
        let mut task = self.task.borrow_mut();
        if !task.as_ref().is_some_and(|task| task.will_wake(waker)) {
            *task = Some(waker.clone());
        }
    }

    fn flush(&self) {
        let mut ports = self.ports.take();
        for port in ports.drain(..) {
            port.flush();
        }
        // Its memory, for the next row.
        self.ports.replace(ports);
    }

    /// The task of a worker's thread.
    pub(crate) async fn run(worker: Weak<WorkerThread>) {
        poll_fn(|context| {
            let Some(worker) = worker.upgrade() else {
                return Poll::Ready(());
            };
            worker.flusher.is_run_by(context.waker());
            worker.flusher.flush();
            Poll::Pending
        })
        .await;
    }
}
