//! The session's own program, polled inside its actor.

use std::num::NonZeroU64;
use std::rc::Rc;
use std::task::Context as TaskContext;

use fanfare_protocol::{CloseCode, Goodbye};

use super::ending::{Ending, Phase};
use super::{Handler, Session, SessionContext, Step};
use crate::fan_out::CloseRequest;
use crate::worker::SeatGuard;

impl Session {
    /// Lets the program take what has come, and sends what it has to say: to events together with
    /// the output of other programs.
    pub(super) fn run_program(&mut self, task: &mut TaskContext<'_>) {
        let has_events = match &self.terms.handler {
            Handler::Program(running) => running.mailbox().has_events(),
            Handler::Inbound(..) | Handler::Concluded => return,
        };
        self.poll_program(task);
        match &self.terms.handler {
            Handler::Program(running) if has_events => running.mailbox().flush_soon(),
            _ => self.flush_program(),
        }
    }

    /// Sends what the program has to say.
    pub(super) fn flush_program(&self) {
        if let Handler::Program(running) = &self.terms.handler {
            running.mailbox().flush();
        }
    }

    /// Lets the program take what has come.
    pub(super) fn poll_program(&mut self, task: &mut TaskContext<'_>) {
        let Handler::Program(running) = &mut self.terms.handler else {
            return;
        };
        running.mailbox().offer_room();
        let ended = running.poll(task).is_ready();
        let mailbox = Rc::clone(running.mailbox());
        if ended {
            tracing::error!("a program ended before its session");
            mailbox.flush();
            self.terms.handler = Handler::Concluded;
            mailbox.fail();
        }
        if let Some(closing) = mailbox.take_closing() {
            let (code, reason) = (closing.code, &*closing.reason);
            mailbox.flush();
            if closing.failed {
                self.close(Goodbye::Failed { code, reason }, Ending::Failed);
            } else {
                self.close(Goodbye::Requested { code, reason }, Ending::Route);
            }
        }
    }

    /// A close frame goes out: behind what the program has sent, and what it sends from now on
    /// would not follow it.
    pub(super) fn shut_program(&self) {
        if let Handler::Program(running) = &self.terms.handler {
            running.mailbox().flush();
            running.mailbox().shut();
        }
    }

    /// A timer of the program has fired.
    pub(super) fn fire_program_timers(&self) {
        if let Handler::Program(running) = &self.terms.handler {
            running.mailbox().fire_timers();
        }
    }

    /// Whether the program has so much to do that nothing more is read for it.
    pub(super) fn is_program_full(&self) -> bool {
        match &self.terms.handler {
            Handler::Program(running) => self.phase == Phase::Open && running.mailbox().is_full(),
            Handler::Inbound(..) | Handler::Concluded => false,
        }
    }

    /// Bytes of the client's messages that wait for the program.
    pub(super) fn program_input(&self) -> usize {
        match &self.terms.handler {
            Handler::Program(running) => running.mailbox().state().message_bytes(),
            Handler::Inbound(..) | Handler::Concluded => 0,
        }
    }

    pub(super) fn is_program_busy(&self) -> bool {
        matches!(&self.terms.handler, Handler::Program(running) if running.mailbox().is_busy())
    }

    fn is_program_occupied(&self) -> bool {
        matches!(&self.terms.handler, Handler::Program(running) if running.mailbox().is_occupied())
    }

    /// Somebody else than the peer wants the session closed; what has been posted to its program
    /// before comes first, what it is working on included, within the time that a close may take.
    pub(super) fn obey(&mut self, task: &mut TaskContext<'_>, why: &CloseRequest) {
        if self.patience.is_none() {
            self.place.worker.flush_in_flight(self.place.member);
        }
        self.run_program(task);
        if self.phase != Phase::Open {
            return;
        }
        if self.is_program_occupied() {
            let now = self.place.worker.ticks.get();
            let until = match self.patience {
                Some(until) => until.get(),
                None => self.closing_deadline(),
            };
            self.patience = NonZeroU64::new(until);
            if now < until {
                return;
            }
        }
        match why {
            CloseRequest::Kick(close) => {
                let (code, reason) = (close.code, &*close.reason);
                self.close(Goodbye::Requested { code, reason }, Ending::Kicked);
            }
            _ => self.close(Goodbye::Shutdown, Ending::Drain),
        }
    }

    /// The session is over: its program is told, and goes on beside it.
    pub(super) fn conclude_program(&mut self) {
        let handler = std::mem::replace(&mut self.terms.handler, Handler::Concluded);
        if let Handler::Program(running) = handler {
            running.conclude(self.code.unwrap_or(CloseCode::LOST));
        }
    }
}

impl Handler {
    /// A text message has come.
    pub(super) fn text(&self, place: &SeatGuard, text: &str) -> Step {
        match self {
            Self::Inbound(inbound, groups) => {
                inbound.text(&mut SessionContext { place, groups }, text)
            }
            Self::Program(running) => {
                running.mailbox().push_text(text);
                Step::Continue
            }
            Self::Concluded => Step::Continue,
        }
    }

    /// A binary message has come.
    pub(super) fn binary(&self, place: &SeatGuard, bytes: &[u8]) -> Step {
        match self {
            Self::Inbound(inbound, groups) => {
                inbound.binary(&mut SessionContext { place, groups }, bytes)
            }
            Self::Program(running) => {
                running.mailbox().push_binary(bytes);
                Step::Continue
            }
            Self::Concluded => Step::Continue,
        }
    }
}
