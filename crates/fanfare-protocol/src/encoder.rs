//! How an event becomes frames for the sessions that share an encoder.

use bytes::BytesMut;
use bytestring::ByteString;

use crate::close::{Close, CloseCode};
use crate::envelope::Envelope;
use crate::event::Event;
use crate::frame::{self, Opcode};
use crate::name::{ChannelName, Target};
use crate::position::Position;

/// Writes the frames of a client protocol. Sessions that share an encoder share the encoded bytes.
pub trait Encoder: Send + Sync + 'static {
    /// Appends the frames of `message` to `frames`.
    ///
    /// # Errors
    /// [`Undeliverable`] when the encoder has nothing to send for it; `frames` is unchanged then.
    fn encode(&self, message: &Outgoing<'_>, frames: &mut BytesMut) -> Result<(), Undeliverable>;

    /// Appends what a session gets in front of its close frame, and says how the session is closed.
    fn goodbye(&self, why: Goodbye<'_>, _frames: &mut BytesMut) -> Close {
        why.close()
    }

    /// Appends what asks a silent client for a sign of life.
    fn ping(&self, frames: &mut BytesMut) {
        frame::push(frames, Opcode::Ping, &[]);
    }
}

/// An event with what an encoder may know of it.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// The group or the channel that the event was published to.
    pub target: &'a Target,
    /// The event.
    pub event: &'a Event,
    /// Where it stands in its group's history; `None` without one.
    pub position: Option<Position>,
    /// The session that published it, where the publisher names one.
    pub origin: Option<&'a ChannelName>,
}

impl<'a> Outgoing<'a> {
    /// An event without position and origin.
    pub fn new(target: &'a Target, event: &'a Event) -> Self {
        Self {
            target,
            event,
            position: None,
            origin: None,
        }
    }

    /// What arrived for `target`.
    pub fn of(target: &'a Target, envelope: &'a Envelope) -> Self {
        Self::new(target, &envelope.event)
    }
}

/// Why a session is closed from the server's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goodbye<'a> {
    /// The node is shutting down.
    Shutdown,
    /// The session's program, its route or another application closes it.
    Requested {
        /// The code that was asked for.
        code: CloseCode,
        /// The reason that was asked for.
        reason: &'a str,
    },
    /// The client broke the WebSocket protocol or a limit.
    Violation {
        /// What the protocol says of it.
        code: CloseCode,
        /// A short lowercase sentence.
        reason: &'a str,
    },
    /// The session's program failed, and closes it so.
    Failed {
        /// The code, usually 1011.
        code: CloseCode,
        /// The reason.
        reason: &'a str,
    },
}

impl Goodbye<'_> {
    /// The close frame of plain WebSocket.
    pub fn close(self) -> Close {
        let (code, reason) = match self {
            Self::Shutdown => (
                CloseCode::GOING_AWAY,
                ByteString::from_static("node is shutting down"),
            ),
            Self::Requested { code, reason }
            | Self::Violation { code, reason }
            | Self::Failed { code, reason } => (code, ByteString::from(reason)),
        };
        Close { code, reason }
    }
}

/// Why an encoder sends nothing for an event; each is a drop cause in the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undeliverable {
    /// The table names a field that the event lacks.
    FieldMissing,
    /// The table has no entry for the type and the route refuses unknown types.
    UnknownType,
}
