//! Requests that a client sends without waiting for the responses.
//!
//! actix-http decodes and answers everything that it has read before it lets another connection go
//! on. Here a connection whose turn is over waits in the run queue of its thread, as a session does.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};

use actix_http::Request;
use actix_service::Service;
use fanfare_node::{Turn, WorkerThread};
use futures_util::FutureExt as _;
use futures_util::future::{Either, LocalBoxFuture};

/// The turns of one connection. Its socket and its requests share it.
pub(crate) struct Pipeline {
    worker: Weak<WorkerThread>,
    turn: RefCell<Turn>,
    /// A request waits for the next turn.
    waits: Cell<bool>,
    /// Meanwhile the socket was to be read, and was not.
    held: Cell<bool>,
}

impl Pipeline {
    pub(crate) fn new(worker: Weak<WorkerThread>) -> Rc<Self> {
        Rc::new(Self {
            worker,
            turn: RefCell::new(Turn::first()),
            waits: Cell::new(false),
            held: Cell::new(false),
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

    /// Whether the connection may answer another request in its turn.
    fn is_over(&self) -> bool {
        self.turn.borrow_mut().look()
    }

    async fn next_turn(&self) {
        let Some(worker) = self.worker.upgrade() else {
            return;
        };
        self.waits.set(true);
        let turn = worker.next_turn().await;
        self.waits.set(false);
        self.turn.replace(turn);
        if self.held.take() {
            poll_fn(|cx: &mut Context<'_>| {
                cx.waker().wake_by_ref();
                Poll::Ready(())
            })
            .await;
        }
    }
}

/// Passes requests to an App, those of one connection in turns.
pub(crate) struct InTurns<S>(Rc<S>);

impl<S> InTurns<S> {
    pub(crate) fn new(app: Rc<S>) -> Self {
        Self(app)
    }
}

impl<S> Service<Request> for InTurns<S>
where
    S: Service<Request> + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<S::Future, LocalBoxFuture<'static, Result<S::Response, S::Error>>>;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&self, request: Request) -> Self::Future {
        let pipeline = request.conn_data::<Rc<Pipeline>>();
        let Some(pipeline) = pipeline.filter(|pipeline| pipeline.is_over()).cloned() else {
            return Either::Left(self.0.call(request));
        };
        let app = Rc::clone(&self.0);
        let answered = async move {
            pipeline.next_turn().await;
            app.call(request).await
        };
        Either::Right(answered.boxed_local())
    }
}
