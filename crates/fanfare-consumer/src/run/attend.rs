//! Runs one handler, from its call to its end.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use fanfare_node::Mailbox;
use fanfare_protocol::CloseCode;
use tokio::time::{Sleep, sleep};

use super::fault::Fault;
use crate::failure::Outcome;

/// What came of a handler: nothing but its work, nearly always.
pub(super) type Attended = Option<Box<Trouble>>;

/// What a handler came to instead of, or in the middle of its work.
pub(super) struct Trouble {
    /// Why it did not do what it should.
    pub(super) fault: Option<Fault>,
    /// Set when the session has ended meanwhile.
    pub(super) ended: Option<CloseCode>,
}

impl Trouble {
    pub(super) fn of(fault: Fault) -> Attended {
        let trouble = Self {
            fault: Some(fault),
            ended: None,
        };
        Some(Box::new(trouble))
    }
}

/// Runs a handler. When its session ends meanwhile it may go on for half of the time that the node
/// gives a program after that: the other half is for `disconnect`.
pub(super) async fn attend(mailbox: &Mailbox, handler: impl Future<Output = Outcome>) -> Attended {
    attend_pinned(mailbox, pin!(Some(handler))).await
}

/// As [`attend`], for handlers that nearly always end at their first poll. A panic of that poll is
/// not caught here.
pub(super) async fn attend_quick(
    mailbox: &Mailbox,
    handler: impl Future<Output = Outcome>,
) -> Attended {
    let mut handler = pin!(Some(handler));
    let first = poll_fn(|cx| {
        let handler = handler.as_mut().as_pin_mut();
        Poll::Ready(handler.map(|handler| handler.poll(cx)))
    });
    match first.await {
        Some(Poll::Ready(Ok(()))) => None,
        Some(Poll::Ready(Err(failure))) => Trouble::of(Fault::Failure(failure)),
        Some(Poll::Pending) | None => attend_pinned(mailbox, handler).await,
    }
}

async fn attend_pinned<F: Future<Output = Outcome>>(
    mailbox: &Mailbox,
    mut handler: Pin<&mut Option<F>>,
) -> Attended {
    let mut after = After::default();
    let fault = poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| {
            let handler = handler.as_mut().as_pin_mut();
            handler.map_or(Poll::Pending, |handler| handler.poll(cx))
        }));
        match polled {
            Ok(Poll::Ready(outcome)) => return Poll::Ready(outcome.err().map(Fault::Failure)),
            Ok(Poll::Pending) => {}
            Err(_panic) => return Poll::Ready(Some(Fault::Panic)),
        }
        ready!(after.poll_impatience(mailbox, cx));
        Poll::Ready(Some(Fault::Late))
    })
    .await;
    // What a handler holds may panic when it is dropped, and `disconnect` is still to come.
    let dropped = catch_unwind(AssertUnwindSafe(|| handler.set(None)));
    let fault = if dropped.is_err() {
        Some(Fault::Panic)
    } else {
        fault
    };
    if fault.is_none() && after.ended.is_none() {
        return None;
    }
    let ended = after.ended;
    Some(Box::new(Trouble { fault, ended }))
}

/// What a handler that outlives its session has left.
#[derive(Default)]
struct After {
    ended: Option<CloseCode>,
    patience: Option<Pin<Box<Sleep>>>,
}

impl After {
    /// Ready when the handler has had its time.
    fn poll_impatience(&mut self, mailbox: &Mailbox, cx: &mut Context<'_>) -> Poll<()> {
        if self.patience.is_none()
            && let Some(code) = mailbox.take_end()
        {
            self.ended = Some(code);
            let limit = mailbox.node().options().close_timeout / 2;
            self.patience = Some(Box::pin(sleep(limit)));
        }
        match &mut self.patience {
            Some(patience) => patience.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}
