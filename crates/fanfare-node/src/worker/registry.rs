//! The registry actor: it drains its worker's inbox and fans events out to the thread's sessions.
//!
//! Membership and what is on its way live in the worker, outside the actor. The actor is what
//! moves them: one turn takes everything from the inbox, so that events that came together leave
//! together, and then one slice of fan-out; between slices the thread does its other work.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll};

use actix::{Actor, AsyncContext as _, Context, StreamHandler};
use futures_util::Stream;

use super::WorkerThread;
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
            pause: None,
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

/// One item for every turn there is something to do; between two turns of a fan-out that takes
/// longer than a slice the thread looks at its sockets.
struct Turns {
    worker: Rc<WorkerThread>,
    pause: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl Stream for Turns {
    type Item = Turn;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<Option<Turn>> {
        if self.worker.inbox().is_closed() {
            // The actor stops at the end of its stream.
            return Poll::Ready(None);
        }
        if let Some(pause) = &mut self.pause {
            if pause.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.pause = None;
            return Poll::Ready(Some(Turn));
        }
        if self.worker.is_fanning_out() {
            let mut pause: Pin<Box<dyn Future<Output = ()>>> = Box::pin(tokio::task::yield_now());
            // The first poll of a yield is always pending: it asks to be polled again once the
            // runtime has looked at the sockets.
            let _pending = pause.as_mut().poll(context);
            self.pause = Some(pause);
            return Poll::Pending;
        }
        self.worker
            .inbox()
            .poll_filled(context)
            .map(|()| Some(Turn))
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
