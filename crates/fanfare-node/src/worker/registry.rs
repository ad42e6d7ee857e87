//! The registry actor: it drains its worker's inbox and fans events out to the thread's sessions.
//!
//! Membership and what is on its way live in the worker, outside the actor. The actor is what
//! moves them: one turn takes what is in the inbox, so that events that came together leave
//! together, and then one slice of fan-out; between turns the thread does its other work.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll};

use actix::{Actor, AsyncContext as _, Context, StreamHandler};
use futures_util::Stream;

use super::WorkerThread;
use super::turn::wake_after_look;
use crate::supervise::Lifeline;

/// The actor that delivers what is in its worker's inbox.
pub(crate) struct Registry {
    worker: Rc<WorkerThread>,
    _lifeline: Lifeline,
}

impl Registry {
    pub(crate) fn new(worker: Rc<WorkerThread>, lifeline: Lifeline) -> Self {
        Self {
            worker,
            _lifeline: lifeline,
        }
    }
}

impl Actor for Registry {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.add_stream(Turns {
            worker: Rc::clone(&self.worker),
            turned: false,
        });
    }
}

/// There is something to deliver.
struct Turn;

impl StreamHandler<Turn> for Registry {
    fn handle(&mut self, _: Turn, _: &mut Self::Context) {
        self.worker.turn();
    }
}

/// One item for every turn there is something to do; between two turns the thread looks at its
/// sockets.
struct Turns {
    worker: Rc<WorkerThread>,
    /// A turn has just been.
    turned: bool,
}

impl Stream for Turns {
    type Item = Turn;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<Option<Turn>> {
        if self.worker.inbox().is_closed() {
            // The actor stops at the end of its stream.
            return Poll::Ready(None);
        }
        let goes_on = self.worker.is_fanning_out();
        if std::mem::take(&mut self.turned) && (goes_on || self.worker.inbox().has_work()) {
            wake_after_look(context);
            return Poll::Pending;
        }
        if goes_on || self.worker.inbox().poll_filled(context).is_ready() {
            self.turned = true;
            return Poll::Ready(Some(Turn));
        }
        Poll::Pending
    }
}

#[cfg(feature = "fault")]
impl actix::Handler<crate::supervise::Crash> for Registry {
    type Result = ();

    #[expect(clippy::panic, reason = "the fault that tests inject")]
    fn handle(&mut self, _: crate::supervise::Crash, _: &mut Self::Context) {
        panic!("injected into the registry");
    }
}
