//! Admission: a session gets its seat and its groups before its handshake is answered.

use std::rc::Rc;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use fanfare_protocol::frame::{self, Opcode};
use fanfare_protocol::{ChannelName, CloseCode, Encoder, GroupName, SessionId};
use futures_util::FutureExt as _;
use futures_util::future::{LocalBoxFuture, OptionFuture, join, join_all};
use smallvec::SmallVec;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::directory::MAX_WORKERS;
use crate::outlet::{DeliveryMode, EventSink};
use crate::port::{Mailbox, Program};
use crate::program::Running;
use crate::session::{Handler, Inbound, Session, SessionOptions};
use crate::slots::{Seat, SlotRef};
use crate::socket::{Link, Socket};
use crate::worker::WorkerThread;

/// What a session is to be.
pub struct Admission {
    /// Its socket.
    pub link: Link,
    /// How events become its frames; sessions that share the encoder share the frames.
    pub encoder: Arc<dyn Encoder>,
    /// Who handles its messages, and perhaps its events.
    pub handling: Handling,
    /// Its groups, besides everyone's. Duplicates count once.
    pub groups: Vec<GroupName>,
    /// Whether `{"type":"welcome","channel":".."}` is its first frame.
    pub welcome: bool,
    /// Path and peer for the access lines, such as `/ws/ [127.0.0.1:10754]`; `None` writes none.
    pub access: Option<Box<str>>,
}

/// Who handles what comes in for a session.
pub enum Handling {
    /// An object that all sessions of a route share on their thread.
    Inbound(Rc<dyn Inbound>),
    /// A program of the session's own, given to [`Ticket::run`] before the session is opened.
    Program(DeliveryMode),
}

/// Why a session is not admitted; nothing of it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AdmitError {
    /// `limits.sessions`.
    #[error("the node has reached its limit of {limit} sessions")]
    NodeFull {
        /// The limit.
        limit: usize,
    },
    /// The thread is beyond the 64 workers that a node has in its life.
    #[error("the node has used up its {MAX_WORKERS} worker threads")]
    TooManyWorkers,
    /// The node shuts down.
    #[error("the node is draining")]
    Draining,
    /// `limits.groups_per_session`.
    #[error("{asked} groups are more than the limit of {limit} per session")]
    TooManyGroups {
        /// Groups of the admission.
        asked: usize,
        /// The limit.
        limit: usize,
    },
    /// The layer is lost, and `layer.join_ms` passed.
    #[error("the layer is unreachable, so the groups cannot be joined")]
    LayerDown,
    /// `layer.join_ms` passed.
    #[error("the layer did not acknowledge the session's groups in time")]
    LayerTimeout,
}

/// A seat whose session has joined its groups and is not open yet. Dropping it gives the seat up.
///
/// A program that has been given to it is told of the session's end also when the session never
/// opens, and runs to its own end.
pub struct Ticket {
    channel: ChannelName,
    welcome: bool,
    access: Option<Box<str>>,
    port: Option<Rc<Mailbox>>,
    /// `None` until the program is given, and once the session is open.
    handler: Option<Handler>,
    /// `None` once the session is open.
    place: Option<SeatGuard>,
}

/// What a session waits for before it is admitted.
struct Waiting<'a> {
    /// Groups that the layer has not acknowledged.
    groups: Vec<oneshot::Receiver<()>>,
    /// Those that the layer is told each member of, if there are any.
    member: Option<LocalBoxFuture<'a, bool>>,
}

/// A seat that is given up when this is dropped, however that comes about.
pub(crate) struct SeatGuard {
    pub(crate) worker: Rc<WorkerThread>,
    pub(crate) member: SlotRef,
}

impl Drop for SeatGuard {
    fn drop(&mut self) {
        self.worker.vacate(self.member);
    }
}

impl WorkerThread {
    /// Seats a session and joins its groups; resolves when the layer has acknowledged all of
    /// them, so that open means subscribed. What is delivered meanwhile waits in its outbox.
    ///
    /// # Errors
    /// [`AdmitError`].
    pub async fn admit(self: &Rc<Self>, admission: Admission) -> Result<Ticket, AdmitError> {
        let deadline = Instant::now() + self.node().options.join_timeout;
        if !self.node().layer_is_there(deadline).await {
            self.node().metrics.refused.layer.inc();
            return Err(AdmitError::LayerDown);
        }
        let (ticket, Waiting { groups, member }) = self.seat(admission)?;
        if groups.is_empty() && member.is_none() {
            return Ok(ticket);
        }
        let acknowledged = async {
            let (groups, member) = join(join_all(groups), OptionFuture::from(member)).await;
            // A sender that was dropped belongs to a bridge that gave the request up.
            member.unwrap_or(true) && groups.iter().all(Result::is_ok)
        };
        match timeout_at(deadline, acknowledged).await {
            Ok(true) => Ok(ticket),
            _ => {
                self.node().metrics.refused.layer.inc();
                Err(AdmitError::LayerTimeout)
            }
        }
    }

    fn seat(self: &Rc<Self>, admission: Admission) -> Result<(Ticket, Waiting<'_>), AdmitError> {
        let Admission {
            link,
            encoder,
            handling,
            mut groups,
            welcome,
            access,
        } = admission;
        let node = self.node();
        self.check_groups(groups.len())?;
        let delivering = match &handling {
            Handling::Inbound(_) => DeliveryMode::Frames,
            Handling::Program(delivering) => *delivering,
        };
        node.reserve_session()?;
        let seat = self.take(vacant(link.fd(), encoder, delivering, EventSink::Socket));
        let member = seat.ok_or_else(|| {
            node.return_session();
            AdmitError::NodeFull {
                limit: node.options.limits.sessions,
            }
        })?;
        let place = SeatGuard {
            worker: Rc::clone(self),
            member,
        };
        let waiting = self.join_first(member, &mut groups);
        let groups = groups.into_boxed_slice();
        let (handler, port) = match handling {
            Handling::Inbound(inbound) => (Some(Handler::Inbound(inbound, groups)), None),
            Handling::Program(_) => {
                let port = Rc::new(Mailbox::new(Rc::clone(self), member, groups));
                self.give_port(member, &port);
                (None, Some(port))
            }
        };
        let ticket = Ticket {
            channel: self.channel(member),
            welcome,
            access,
            port,
            handler,
            place: Some(place),
        };
        Ok((ticket, waiting))
    }

    /// Puts a new session into its groups, whose names become those that the worker shares.
    fn join_first(&self, member: SlotRef, groups: &mut [GroupName]) -> Waiting<'_> {
        let everyone = self.join(member, &self.node().everyone);
        let mut waiting = Vec::from_iter(everyone.wait);
        let mut told = Vec::new();
        for group in groups {
            let joined = self.join(member, group);
            *group = joined.group;
            waiting.extend(joined.wait);
            if joined.new && self.tracks_members_individually(group) {
                told.push(group.clone());
            }
        }
        Waiting {
            groups: waiting,
            member: (!told.is_empty()).then(|| self.subscribe_member(member, told).boxed_local()),
        }
    }

    fn check_groups(&self, asked: usize) -> Result<(), AdmitError> {
        let refused = &self.node().metrics.refused;
        let limit = self.node().options.limits.groups_per_session;
        if asked > limit {
            refused.groups.inc();
            return Err(AdmitError::TooManyGroups { asked, limit });
        }
        if usize::from(self.index()) >= MAX_WORKERS {
            refused.node_full.inc();
            return Err(AdmitError::TooManyWorkers);
        }
        Ok(())
    }

    fn give_port(&self, member: SlotRef, port: &Rc<Mailbox>) {
        let mut fan_out = self.fan_out.borrow_mut();
        if let Some(seat) = fan_out.slots.seat_mut(member) {
            seat.outlet = EventSink::Mailbox(Rc::clone(port));
        }
    }

    /// Seats an actor that is to be a member without being a session.
    pub(crate) fn seat_actor(&self, outlet: EventSink) -> Result<SlotRef, AdmitError> {
        self.check_groups(0)?;
        let encoder: Arc<dyn Encoder> = Arc::clone(&self.node().actors_encoder);
        let member = self.take(vacant(-1, encoder, DeliveryMode::Events, outlet));
        member.ok_or(AdmitError::NodeFull {
            limit: self.node().options.limits.sessions,
        })
    }

    /// The id of the session in a seat.
    pub(crate) fn session_id(&self, member: SlotRef) -> SessionId {
        SessionId {
            worker: self.index(),
            slot: member.slot,
            generation: member.generation(),
        }
    }
}

impl Ticket {
    /// The session's channel name.
    pub fn channel(&self) -> &ChannelName {
        &self.channel
    }

    /// The program's side of the session, for [`Handling::Program`]. It works from now on: what is
    /// sent before the session opens goes out behind the 101.
    pub fn port(&self) -> Option<Rc<Mailbox>> {
        self.port.clone()
    }

    /// Gives the session its program, for [`Handling::Program`].
    pub fn run(&mut self, program: Program) {
        if let Some(port) = &self.port {
            self.handler = Some(Handler::Program(Running::new(program, Rc::clone(port))));
        }
    }

    /// Starts the session's actor on its socket. `head` is the response head, which goes out
    /// first; then the welcome; then what has been delivered since the session joined.
    /// `received` is what the client sent behind its handshake. A socket that is not the one of
    /// the admission's link is dropped, and the seat with it.
    pub fn open(mut self, socket: Socket, head: Bytes, received: Bytes) {
        let Some(place) = self.place.take() else {
            return;
        };
        if socket.link().fd() != place.member.fd {
            // The fan-out would write to whatever connection was admitted.
            tracing::error!("a ticket was opened on another connection than its admission's");
            return;
        }
        let Some(handler) = self.handler.take() else {
            tracing::error!("a ticket was opened without the program that it was admitted for");
            return;
        };
        if let Some(port) = &self.port {
            port.open();
        }
        let mut first = BytesMut::from(head);
        if self.welcome {
            let text = format!(r#"{{"type":"welcome","channel":"{}"}}"#, self.channel);
            frame::push(&mut first, Opcode::Text, text.as_bytes());
        }
        let terms = SessionOptions {
            handler,
            access: self.access.take(),
        };
        Session::start(place, socket, terms, first.freeze(), received);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // The seat first: a program hears of the end when its session is in no group any more.
        self.place = None;
        if let Some(Handler::Program(running)) = self.handler.take() {
            running.conclude(CloseCode::LOST);
        }
    }
}

fn vacant(fd: i32, encoder: Arc<dyn Encoder>, delivering: DeliveryMode, outlet: EventSink) -> Seat {
    Seat {
        fd,
        encoder,
        delivering,
        outlet,
        memberships: SmallVec::new(),
        outbox: None,
        waker: None,
        close_requested: None,
        closed: false,
        flushed: false,
        timer_fired: false,
    }
}
