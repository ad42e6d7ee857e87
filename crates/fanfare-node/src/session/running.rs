//! A session's own program, from the answer to its handshake until it has taken note of the end.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use fanfare_protocol::CloseCode;

use super::mailbox::{Mailbox, Program};
use crate::node::Shared;

/// A program and the mailbox that it speaks through.
pub(crate) struct Running {
    program: Program,
    mailbox: Rc<Mailbox>,
    counted: Counted,
}

/// Held as long as a program is there: a node that drains waits for it.
struct Counted(Arc<Shared>);

impl Counted {
    fn new(node: &Arc<Shared>) -> Self {
        node.programs.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(node))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.programs.fetch_sub(1, Ordering::AcqRel);
        self.0.emptied.notify_waiters();
    }
}

impl Running {
    pub(crate) fn new(program: Program, mailbox: Rc<Mailbox>) -> Self {
        Self {
            program,
            counted: Counted::new(mailbox.worker().node()),
            mailbox,
        }
    }

    pub(crate) fn mailbox(&self) -> &Rc<Mailbox> {
        &self.mailbox
    }

    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.program.as_mut().poll(context)
    }

    /// Its session is over: tells the program, and lets it run to its end beside the sessions, for
    /// as long as a close may take at most.
    pub(crate) fn conclude(self, code: CloseCode) {
        let Self {
            program,
            mailbox,
            counted,
        } = self;
        mailbox.end(code);
        let node = Arc::clone(mailbox.worker().node());
        let limit = node.options.close_timeout;
        actix_rt::spawn(async move {
            let _counted = counted;
            if tokio::time::timeout(limit, program).await.is_err() {
                node.metrics.abandoned.inc();
                tracing::warn!(
                    ?limit,
                    "a consumer did not end in time after its session and was given up"
                );
            }
        });
    }
}
