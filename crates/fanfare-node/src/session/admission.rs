//! What a session is to be, as the server says it.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use fanfare_protocol::{Encoder, GroupName};

use super::{Inbound, Link};
use crate::fan_out::DeliveryMode;
use crate::identity::Identity;

/// What a session is to be.
pub struct Admission {
    /// Its socket.
    pub link: Link,
    /// The address of its client, which counts its sessions; `None` counts none.
    pub client: Option<IpAddr>,
    /// How events become its frames; sessions that share the encoder share the frames.
    pub encoder: Arc<dyn Encoder>,
    /// Who handles its messages, and perhaps its events.
    pub handling: Handling,
    /// The groups of its route. Duplicates count once. Every session is in everyone's group too.
    pub groups: Vec<GroupName>,
    /// Whose session it is, if that is known: adds the groups of this client.
    pub identity: Option<Arc<Identity>>,
    /// Whether `{"type":"welcome","channel":".."}` is its first frame.
    pub welcome: bool,
    /// Path and peer for the access lines, such as `/ws/ [127.0.0.1:10754]`; `None` writes none.
    pub access: Option<Box<str>>,
}

/// Who handles what comes in for a session.
pub enum Handling {
    /// An object that all sessions of a route share on their thread.
    Inbound(Rc<dyn Inbound>),
    /// A program of the session's own, given to [`Ticket::run`](crate::Ticket::run) before the
    /// session is opened.
    Program(DeliveryMode),
}

impl Handling {
    /// How the session takes its events.
    pub(super) fn mode(&self) -> DeliveryMode {
        match self {
            Self::Inbound(_) => DeliveryMode::Frames,
            Self::Program(mode) => *mode,
        }
    }
}
