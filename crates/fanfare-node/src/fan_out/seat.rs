//! What the fan-out knows of one session.

use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use bytes::Bytes;
use fanfare_protocol::{Close, Encoder};
use smallvec::SmallVec;

use super::event_sink::{DeliveryMode, EventSink};
use super::outbox::Outbox;
use super::slot_ref::Membership;

/// Why a session is to end, as asked by somebody else than its peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CloseRequest {
    /// Its outbox is over the bound.
    Slow,
    /// Its socket answered an error.
    Lost,
    /// The node is short of memory, and most waited for this session.
    NoMemory,
    /// The node is shutting down.
    Drain,
    /// An application wants it closed.
    Kick(Rc<Close>),
}

impl CloseRequest {
    /// Whether the session ends without last words.
    pub(super) fn is_at_once(&self) -> bool {
        match self {
            Self::Slow | Self::Lost | Self::NoMemory => true,
            Self::Drain | Self::Kick(_) => false,
        }
    }
}

/// How far the end of a session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SeatState {
    Open,
    /// The session is to be closed and has got what came before that: its program gets no more.
    Flushed,
    /// The close frame is on its way: nothing may follow it.
    Closed,
}

/// What a worker knows of one session; the session actor owns the rest.
pub(crate) struct Seat {
    pub(crate) fd: RawFd,
    /// How what is for this session alone becomes frames, and what its groups have by default.
    pub(crate) encoder: Arc<dyn Encoder>,
    /// How it takes what is for it alone.
    pub(crate) mode: DeliveryMode,
    pub(crate) outlet: EventSink,
    /// Room for everyone's group, one of the route and the user's.
    pub(crate) memberships: SmallVec<[Membership; 3]>,
    pub(crate) outbox: Option<Box<Outbox>>,
    /// Wakes the session's actor.
    pub(crate) waker: Option<Waker>,
    pub(crate) close_requested: Option<Rc<CloseRequest>>,
    pub(crate) state: SeatState,
    /// The session's timer has fired since the session last looked.
    pub(crate) timer_fired: bool,
    /// The same for a timer of its program.
    pub(crate) program_timer_fired: bool,
}

impl Seat {
    /// The seat of a member that is in no group and has nothing to send.
    pub(crate) fn vacant(
        fd: RawFd,
        encoder: Arc<dyn Encoder>,
        mode: DeliveryMode,
        outlet: EventSink,
    ) -> Self {
        Self {
            fd,
            encoder,
            mode,
            outlet,
            memberships: SmallVec::new(),
            outbox: None,
            waker: None,
            close_requested: None,
            state: SeatState::Open,
            timer_fired: false,
            program_timer_fired: false,
        }
    }

    /// Its membership of the group with this index.
    pub(super) fn membership(&self, group: u32) -> Option<Membership> {
        let own = self.memberships.iter().find(|place| place.group == group);
        own.copied()
    }

    pub(super) fn refuses_frames(&self) -> bool {
        let why = self.close_requested.as_deref();
        self.state == SeatState::Closed || why.is_some_and(CloseRequest::is_at_once)
    }

    /// A program that is given time before a close must not be given more meanwhile.
    pub(super) fn refuses_mail(&self) -> bool {
        self.state == SeatState::Flushed || self.refuses_frames()
    }

    /// What the session's program has sent and nobody has written: only before the session opens.
    pub(super) fn unwritten(&self) -> Option<(Bytes, u32)> {
        match &self.outlet {
            EventSink::Mailbox(mailbox) => mailbox.take_output(),
            EventSink::Socket | EventSink::Actor(_) => None,
        }
    }
}
