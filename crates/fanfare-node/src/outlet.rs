//! Where a member takes its events, and in which form.

use std::rc::Rc;
use std::sync::Arc;

use actix::Recipient;

use crate::mail::SharedEvent;
use crate::member::Arrived;
use crate::port::Mailbox;

/// How events reach a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryMode {
    /// As frames, encoded once per encoder and written by the fan-out.
    Frames,
    /// As events, to the session's program or to an actor.
    Events,
}

/// Where a member takes its events.
pub(crate) enum EventSink {
    /// Nowhere: its frames go to its socket.
    Socket,
    /// A session's program.
    Mailbox(Rc<Mailbox>),
    /// Any actor.
    Actor(Recipient<Arrived>),
}

/// Answers how many an actor's mailbox had no room for.
pub(crate) fn post_to_actor(recipient: &Recipient<Arrived>, mail: &[Rc<SharedEvent>]) -> u64 {
    let told = mail.iter().map(|mail| {
        recipient.try_send(Arrived {
            envelope: Arc::clone(mail.envelope()),
        })
    });
    told.filter(Result::is_err).count() as u64
}
