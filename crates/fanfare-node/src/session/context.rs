//! What a route sees of a session.

use std::sync::Arc;

use fanfare_layer::Publish;
use fanfare_protocol::frame::Opcode;
use fanfare_protocol::{ChannelName, CloseCode, Envelope, GroupName, Target};

use crate::worker::SeatGuard;

/// What a route does with what its clients send. One object serves every session of the route on
/// its thread. A handler that panics ends its own session with 1011 and no other.
pub trait Inbound: 'static {
    /// A text message.
    fn text(&self, session: &mut SessionContext<'_>, text: &str) -> Step;

    /// A binary message.
    fn binary(&self, session: &mut SessionContext<'_>, bytes: &[u8]) -> Step;
}

/// What comes after a message.
pub enum Step {
    /// The next message.
    Continue,
    /// The next message, once the layer has room for what this one published.
    Publishing(Publish),
    /// The end, with a close code and a reason of at most 123 bytes.
    Close(CloseCode, &'static str),
}

/// A session while it handles one message.
pub struct SessionContext<'a> {
    pub(super) place: &'a SeatGuard,
    pub(super) groups: &'a [GroupName],
}

impl SessionContext<'_> {
    /// The session's channel name.
    pub fn channel(&self) -> ChannelName {
        self.place.worker.channel(self.place.member)
    }

    /// The groups of the session's route, in their order.
    pub fn groups(&self) -> &[GroupName] {
        self.groups
    }

    /// Publishes to the layer; return the answer as [`Step::Publishing`].
    pub fn publish(&self, target: Target, envelope: Arc<Envelope>) -> Publish {
        self.place.worker.node().publish(target, envelope)
    }

    /// Sends a text message to this session's client.
    pub fn send_text(&mut self, text: &str) {
        self.send(Opcode::Text, text.as_bytes());
    }

    /// Sends a binary message to this session's client.
    pub fn send_binary(&mut self, bytes: &[u8]) {
        self.send(Opcode::Binary, bytes);
    }

    fn send(&mut self, opcode: Opcode, payload: &[u8]) {
        let SeatGuard { worker, member, .. } = self.place;
        worker.reply(*member, opcode, payload);
    }
}
