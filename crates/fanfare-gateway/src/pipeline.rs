//! Requests that a client sends without waiting for the responses.
//!
//! actix-http decodes and answers everything that it has read before it lets another connection go
//! on. Here a connection whose turn is over waits in the run queue of its thread, as a session does.
//! Nothing is answered behind a request or a response with `Connection: close`.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use actix_http::{ConnectionType, RequestHead, ResponseHead};
use fanfare_node::{Turn, WorkerThread};

/// The turns of one connection, and how far it is. Its socket and its requests share it.
pub(crate) struct Pipeline {
    worker: Weak<WorkerThread>,
    turn: RefCell<Turn>,
    /// A request waits for the next turn.
    waits: Cell<bool>,
    /// Meanwhile the socket was to be read, and was not.
    held: Cell<bool>,
    end: Cell<End>,
    /// A request is at the App.
    in_work: Cell<bool>,
    /// When bytes were last read or written.
    used: Cell<Instant>,
    /// Another connection has got its place.
    cut: Cell<bool>,
    /// Of the connection's task.
    task: RefCell<Option<Waker>>,
}

/// How far the end of a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    /// No request is answered behind the one that is in work, or whose response is being written.
    Last,
    /// There is one; it waits until that response is written.
    Behind,
    /// What is written from now on goes nowhere.
    Muted,
}

impl Pipeline {
    pub(crate) fn new(worker: Weak<WorkerThread>) -> Rc<Self> {
        Rc::new(Self {
            worker,
            turn: RefCell::new(Turn::first()),
            waits: Cell::new(false),
            held: Cell::new(false),
            end: Cell::new(End::Open),
            in_work: Cell::new(false),
            used: Cell::new(Instant::now()),
            cut: Cell::new(false),
            task: RefCell::default(),
        })
    }

    /// The socket is empty: whatever the client sends next is no burst.
    pub(crate) fn emptied(&self) {
        self.turn.replace(Turn::first());
    }

    /// Whether nothing is read, because a request waits. Its turn wakes the connection's task.
    pub(crate) fn holds(&self) -> bool {
        let waits = self.waits.get();
        self.held.set(waits || self.held.get());
        waits
    }

    /// Whether the connection has had its turn. The first request always belongs to it.
    pub(crate) fn is_turn_over(&self) -> bool {
        self.turn.borrow_mut().look()
    }

    pub(crate) async fn next_turn(&self) {
        let Some(worker) = self.worker.upgrade() else {
            return;
        };
        self.waits.set(true);
        let turn = worker.next_turn().await;
        self.waits.set(false);
        self.turn.replace(turn);
        if self.held.take() {
            self.wake();
        }
    }

    /// A request goes to the App.
    pub(crate) fn begin(&self, head: &RequestHead) {
        self.in_work.set(true);
        if head.connection_type() == ConnectionType::Close {
            self.end.set(End::Last);
        }
    }

    /// The App has answered; no head is a failure.
    pub(crate) fn answered(&self, head: Option<&ResponseHead>) {
        self.in_work.set(false);
        if head.is_some_and(|head| head.connection_type() == ConnectionType::Close) {
            self.end.set(End::Last);
        }
    }

    /// Whether no more requests are answered.
    pub(crate) fn is_ending(&self) -> bool {
        self.end.get() != End::Open
    }

    /// Waits until everything that may still be written has been written.
    pub(crate) async fn muted(&self) {
        poll_fn(|cx: &mut Context<'_>| {
            if self.end.get() == End::Muted {
                return Poll::Ready(());
            }
            self.end.set(End::Behind);
            self.is_driven_by(cx.waker());
            Poll::Pending
        })
        .await;
    }

    /// All that was to be written has been written.
    pub(crate) fn flushed(&self) {
        if self.end.get() == End::Behind {
            self.end.set(End::Muted);
            self.wake();
        }
    }

    /// Whether what is written goes nowhere.
    pub(crate) fn is_muted(&self) -> bool {
        self.end.get() == End::Muted
    }

    /// Bytes were read or written.
    pub(crate) fn progressed(&self) {
        self.used.set(Instant::now());
    }

    pub(crate) fn used(&self) -> Instant {
        self.used.get()
    }

    pub(crate) fn is_in_work(&self) -> bool {
        self.in_work.get()
    }

    /// Ends the connection for the sake of another one.
    pub(crate) fn cut(&self) {
        self.cut.set(true);
        self.wake();
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut.get()
    }

    pub(crate) fn is_driven_by(&self, waker: &Waker) {
        let mut task = self.task.borrow_mut();
        if !task.as_ref().is_some_and(|task| task.will_wake(waker)) {
            *task = Some(waker.clone());
        }
    }

    fn wake(&self) {
        if let Some(task) = &*self.task.borrow() {
            task.wake_by_ref();
        }
    }
}
