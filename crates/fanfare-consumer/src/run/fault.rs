//! Logs and counts handlers that failed, and closes their sessions.

use std::fmt;

use fanfare_node::Mailbox;

use crate::failure::{Cause, Failure};
use crate::metrics::Failures;

/// Why a handler did not do what it should.
pub(super) enum Fault {
    Panic,
    Failure(Failure),
    /// It was still running when its session's time was up.
    Late,
}

/// Which handler.
#[derive(Debug, Clone, Copy)]
pub(super) enum Hook {
    Receive,
    Event,
    Message,
    Spawn,
    Disconnect,
}

/// Logs, counts, and ends the session.
pub(super) struct Reporter<'a> {
    pub(super) route: &'a str,
    pub(super) failures: &'a Failures,
}

impl Reporter<'_> {
    pub(super) fn report(&self, hook: Hook, fault: &Fault, mailbox: &Mailbox) {
        let route = self.route;
        match fault {
            Fault::Failure(failure) => match failure.cause() {
                Cause::Close(code, reason) => {
                    crate::session::close(mailbox, *code, reason);
                    return;
                }
                // It has closed the session itself, or the client has gone.
                Cause::Over if !mailbox.is_open() => return,
                Cause::Over | Cause::Error(_) | Cause::Reply { .. } => {
                    self.failures.error.inc();
                    // As text: a log shows it quoted, also what a client had a part in.
                    let error = failure.to_string();
                    tracing::error!(route, %hook, error, "a consumer failed and its session is closed");
                }
            },
            Fault::Panic => {
                self.failures.panic.inc();
                tracing::error!(route, %hook, "a consumer panicked and its session is closed");
            }
            Fault::Late => {
                self.failures.error.inc();
                tracing::error!(route, %hook, "a handler outlived its session and was dropped");
            }
        }
        mailbox.fail();
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Receive => "receive",
            Self::Event => "event",
            Self::Message => "message",
            Self::Spawn => "spawn",
            Self::Disconnect => "disconnect",
        })
    }
}
