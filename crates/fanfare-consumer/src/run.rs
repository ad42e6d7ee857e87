//! The program of a session. It passes messages, events and timers to the consumer, one after the
//! other.
//!
//! A session that waits needs memory for the consumer, its [`Session`] and a few words. The memory
//! for a handler exists only while the handler runs.

mod attend;
mod fault;

use std::future::poll_fn;
use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use fanfare_node::{Input, Program, SharedEvent, Turn};
use fanfare_protocol::{CloseCode, TypedError};
use futures_util::FutureExt as _;

use crate::consumer::{Consumer, Unknown};
use crate::failure::{Failure, Outcome};
use crate::frame::{Frame, FromFrame};
use crate::session::{Order, Session, Wake};

use attend::{Attended, Trouble, attend, attend_quick};
use fault::{Fault, Hook, Reporter};

/// A consumer and its session, which was accepted.
pub(crate) struct Life<C, M: 'static, I> {
    consumer: C,
    session: Session<M>,
    /// The route's path, for the log.
    route: Arc<str>,
    /// Events that have been handled and are not counted yet.
    handled: u32,
    received: PhantomData<fn(I)>,
}

impl<C: Consumer<M, I>, M: 'static, I: FromFrame> Life<C, M, I> {
    pub(crate) fn new(consumer: C, session: Session<M>, route: Arc<str>) -> Self {
        Self {
            consumer,
            session,
            route,
            handled: 0,
            received: PhantomData,
        }
    }

    /// Runs until the session has ended and the consumer knows.
    pub(crate) fn into_program(self) -> Program {
        Box::pin(self.run())
    }

    #[expect(
        clippy::manual_async_fn,
        reason = "an async fn has room for its arguments twice"
    )]
    fn run(mut self) -> impl Future<Output = ()> {
        async move {
            loop {
                let wake = poll_fn(|cx| self.session.poll_wake(cx)).await;
                // In a box, so that the memory for it goes when it is done.
                let turn = Box::pin(AssertUnwindSafe(self.turn(wake)).catch_unwind());
                match turn.await {
                    Ok(ControlFlow::Break(())) => return,
                    Ok(ControlFlow::Continue(())) => {}
                    // The handler of an event, or a message that panics when it is dropped.
                    Err(_panic) => {
                        self.session.end_event();
                        let mailbox = self.session.mailbox();
                        self.reporter().report(Hook::Event, &Fault::Panic, mailbox);
                    }
                }
            }
        }
    }

    /// Handles everything that is there, in turns: between two of them the other sessions of the
    /// thread have theirs.
    async fn turn(&mut self, wake: Wake<M>) -> ControlFlow<()> {
        let flow = self.handle_all(wake).await;
        self.count_handled();
        flow
    }

    /// Once a turn: counting is shared by all threads, and dear.
    fn count_handled(&mut self) {
        let handled = std::mem::take(&mut self.handled);
        let events = &self.session.cluster().metrics().events;
        events.handled.inc_by(handled.into());
    }

    async fn handle_all(&mut self, wake: Wake<M>) -> ControlFlow<()> {
        self.handle(wake).await?;
        let mut turn = Turn::first();
        let mut is_over = turn.step();
        loop {
            // By far the most frequent thing that comes in numbers has a way of its own.
            if let Some(shared) = self.session.next_event() {
                if is_over {
                    turn = self.next_turn().await;
                }
                self.handle_event(&shared).await?;
            } else {
                let there = poll_fn(|cx| Poll::Ready(self.session.poll_wake(cx))).await;
                let Poll::Ready(wake) = there else {
                    return ControlFlow::Continue(());
                };
                if is_over {
                    turn = self.next_turn().await;
                }
                self.handle(wake).await?;
            }
            is_over = turn.step();
        }
    }

    async fn next_turn(&mut self) -> Turn {
        self.count_handled();
        self.session.mailbox().next_turn().await
    }

    async fn handle_event(&mut self, shared: &Rc<SharedEvent>) -> ControlFlow<()> {
        let Self {
            consumer,
            session,
            handled,
            route,
            ..
        } = self;
        match event(consumer, session, shared, handled, route).await {
            None => ControlFlow::Continue(()),
            trouble => self.after(Hook::Event, trouble).await,
        }
    }

    async fn handle(&mut self, wake: Wake<M>) -> ControlFlow<()> {
        let mailbox = Rc::clone(self.session.mailbox());
        let Self {
            consumer, session, ..
        } = self;
        let (hook, attended) = match wake {
            Wake::Input(Input::Ended(code)) => return self.end(code).await,
            Wake::Input(Input::Text(text)) => {
                let receive = receive(consumer, session, Frame::Text(text));
                (Hook::Receive, attend(&mailbox, receive).await)
            }
            Wake::Input(Input::Binary(bytes)) => {
                let receive = receive(consumer, session, Frame::Binary(bytes));
                (Hook::Receive, attend(&mailbox, receive).await)
            }
            Wake::Input(Input::Event { event, .. }) => return self.handle_event(&event).await,
            // Consumers set no timers of the node.
            Wake::Input(Input::Timer(_)) => return ControlFlow::Continue(()),
            Wake::Message(message) | Wake::Order(Order::Message(message)) => {
                let message = async { consumer.message(session, message).await };
                (Hook::Message, attend(&mailbox, message).await)
            }
            Wake::Order(Order::Send(opcode, payload)) => {
                let send = async { Ok(session.send(opcode, &payload).await?) };
                (Hook::Message, attend(&mailbox, send).await)
            }
            Wake::Order(Order::Close(code, reason)) => {
                session.close(code, &reason);
                (Hook::Message, None)
            }
            Wake::Panicked => (Hook::Spawn, Trouble::of(Fault::Panic)),
        };
        self.after(hook, attended).await
    }

    async fn after(&mut self, hook: Hook, attended: Attended) -> ControlFlow<()> {
        let attended = match attended {
            Some(trouble) => self.judge(*trouble).await,
            None => None,
        };
        let Some(trouble) = attended else {
            return ControlFlow::Continue(());
        };
        if let Some(fault) = trouble.fault {
            let mailbox = self.session.mailbox();
            self.reporter().report(hook, &fault, mailbox);
        }
        match trouble.ended {
            Some(code) => self.end(code).await,
            None => ControlFlow::Continue(()),
        }
    }

    /// Lets the consumer decide what follows an error of a session that is still open.
    async fn judge(&mut self, trouble: Trouble) -> Attended {
        let failure = match trouble {
            Trouble {
                fault: Some(Fault::Failure(failure)),
                ended: None,
            } => failure,
            trouble => return Some(Box::new(trouble)),
        };
        let mailbox = Rc::clone(self.session.mailbox());
        let Self {
            consumer, session, ..
        } = self;
        let answer = async {
            let decided = match failure.error_ref() {
                Some(_) if session.is_open() => consumer.failed(session, failure).await,
                _ => Err(failure),
            };
            match decided.map_err(Failure::into_reply) {
                Ok(()) => Ok(()),
                Err(Ok(reply)) => Ok(session.send_text(&reply).await?),
                Err(Err(failure)) => Err(failure),
            }
        };
        attend(&mailbox, answer).await
    }

    /// The session is over.
    async fn end(&mut self, code: CloseCode) -> ControlFlow<()> {
        self.session.release();
        let Self {
            consumer, session, ..
        } = self;
        let disconnect = AssertUnwindSafe(async { consumer.disconnect(session, code).await });
        if disconnect.catch_unwind().await.is_err() {
            let mailbox = self.session.mailbox();
            self.reporter()
                .report(Hook::Disconnect, &Fault::Panic, mailbox);
        }
        ControlFlow::Break(())
    }

    fn reporter(&self) -> Reporter<'_> {
        Reporter {
            route: &self.route,
            failures: &self.session.cluster().metrics().failures,
        }
    }
}

/// Hands a client's message to the consumer, if it can be read.
async fn receive<C: Consumer<M, I>, M: 'static, I: FromFrame>(
    consumer: &mut C,
    session: &mut Session<M>,
    frame: Frame,
) -> Outcome {
    consumer.receive(session, I::from_frame(frame)?).await
}

/// Hands an event to the consumer, if it is one of those that it knows. Panics are the caller's to
/// catch.
async fn event<C: Consumer<M, I>, M: 'static, I: FromFrame>(
    consumer: &mut C,
    session: &mut Session<M>,
    shared: &Rc<SharedEvent>,
    handled: &mut u32,
    route: &str,
) -> Attended {
    let own: Result<C::Event, TypedError>;
    let (decoded, is_own) = match shared.decoded(|event| event.to::<C::Event>()) {
        Some(decoded) => (decoded, false),
        // Another consumer of the group takes it for something else.
        None => {
            own = shared.event().to();
            (&own, true)
        }
    };
    match decoded {
        Ok(event) => {
            *handled += 1;
            session.begin_event(shared, is_own.then_some(event));
            let mailbox = Rc::clone(session.mailbox());
            let attended = attend_quick(&mailbox, consumer.event(session, event)).await;
            session.end_event();
            attended
        }
        Err(error) => {
            unknown_event(session, shared, error, route);
            if C::UNKNOWN == Unknown::Close {
                session.close(CloseCode::POLICY, "unknown event");
            }
            None
        }
    }
}

#[cold]
fn unknown_event<M: 'static>(
    session: &Session<M>,
    shared: &SharedEvent,
    error: &TypedError,
    route: &str,
) {
    session.cluster().metrics().events.unknown.inc();
    // As text: a log shows it quoted.
    let error = error.to_string();
    tracing::debug!(
        route,
        error,
        kind = shared.event().event_type(),
        "an event that the consumer does not know"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consumer::Frames;

    struct Empty;

    impl Consumer for Empty {
        type Event = Frames;
    }

    fn future_size<A, F>(_: impl Fn(A) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_session_that_waits_keeps_little() {
        let program = future_size(Life::<Empty, (), Frame>::run);
        assert!(program <= 160, "{program} bytes");
    }
}
