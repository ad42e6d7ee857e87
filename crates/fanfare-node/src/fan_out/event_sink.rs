//! Where a member takes its events, and in which form.

use std::rc::Rc;
use std::sync::Arc;

use actix::Recipient;
use fanfare_protocol::{Close, Envelope, Event, TypedError};
use serde::de::DeserializeOwned;

use super::mailbox::MailboxState;
use super::shared_event::SharedEvent;

/// An event that has arrived for an actor.
#[derive(Debug, Clone, actix::Message)]
#[rtype(result = "()")]
pub struct Arrived {
    /// The event, shared by everybody who gets it. With `close` it asks the actor to end.
    pub envelope: Arc<Envelope>,
}

impl Arrived {
    /// The event.
    pub fn event(&self) -> &Event {
        &self.envelope.event
    }

    /// The event as a value of the application.
    ///
    /// # Errors
    /// [`TypedError`] when the event is not of this shape.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, TypedError> {
        self.envelope.event.to()
    }

    /// How the actor is asked to end; then the event says nothing else.
    pub fn close(&self) -> Option<&Close> {
        self.envelope.close.as_ref()
    }
}

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
    Mailbox(Rc<MailboxState>),
    /// Any actor; in a box, because sessions are many.
    Actor(Box<Recipient<Arrived>>),
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
