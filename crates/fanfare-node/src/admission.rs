//! Admission: a session gets its seat and its groups before its handshake is answered.

use std::rc::Rc;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use fanfare_protocol::frame::{self, Opcode};
use fanfare_protocol::{ChannelName, GroupName, Plan, SessionId};
use futures_util::future::join_all;
use smallvec::SmallVec;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::directory::MAX_WORKERS;
use crate::session::{Inbound, Session, Terms};
use crate::slots::{Member, Seat};
use crate::socket::{Link, Socket};
use crate::worker::Worker;

/// What a session is to be.
pub struct Admission {
    /// Its socket.
    pub link: Link,
    /// How events become its frames; sessions that share the plan share the frames.
    pub plan: Arc<dyn Plan>,
    /// What happens with its messages.
    pub inbound: Rc<dyn Inbound>,
    /// Its groups, besides everyone's. Duplicates count once.
    pub groups: Vec<GroupName>,
    /// Whether `{"type":"welcome","channel":".."}` is its first frame.
    pub welcome: bool,
    /// Path and peer for the access lines, such as `/ws/ [127.0.0.1:10754]`; `None` writes none.
    pub access: Option<Box<str>>,
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
pub struct Ticket {
    pub(crate) place: Place,
    channel: ChannelName,
    welcome: bool,
    terms: Terms,
}

/// A seat that is given up when this is dropped, however that comes about.
pub(crate) struct Place {
    pub(crate) worker: Rc<Worker>,
    pub(crate) member: Member,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.worker.vacate(self.member);
    }
}

impl Worker {
    /// Seats a session and joins its groups; resolves when the layer has acknowledged all of
    /// them, so that open means subscribed. What is delivered meanwhile waits in its outbox.
    ///
    /// # Errors
    /// [`AdmitError`].
    pub async fn admit(self: &Rc<Self>, admission: Admission) -> Result<Ticket, AdmitError> {
        let deadline = Instant::now() + self.node().options.join_timeout;
        self.node().layer_is_there(deadline).await?;
        let (ticket, waiting) = self.seat(admission)?;
        if waiting.is_empty() {
            return Ok(ticket);
        }
        match timeout_at(deadline, join_all(waiting)).await {
            // A sender that was dropped belongs to a bridge that gave the request up.
            Ok(answers) if answers.iter().all(Result::is_ok) => Ok(ticket),
            _ => {
                self.node().metrics.refused.layer.inc();
                Err(AdmitError::LayerTimeout)
            }
        }
    }

    fn seat(
        self: &Rc<Self>,
        admission: Admission,
    ) -> Result<(Ticket, Vec<oneshot::Receiver<()>>), AdmitError> {
        let Admission {
            link,
            plan,
            inbound,
            mut groups,
            welcome,
            access,
        } = admission;
        let node = self.node();
        let limit = node.options.limits.groups_per_session;
        if groups.len() > limit {
            node.metrics.refused.groups.inc();
            return Err(AdmitError::TooManyGroups {
                asked: groups.len(),
                limit,
            });
        }
        if usize::from(self.index()) >= MAX_WORKERS {
            node.metrics.refused.node_full.inc();
            return Err(AdmitError::TooManyWorkers);
        }
        node.reserve_session()?;
        let seat = Seat {
            fd: link.fd(),
            plan,
            memberships: SmallVec::new(),
            outbox: None,
            waker: None,
            condemned: None,
            closed: false,
            timer_fired: false,
        };
        let member = self.take(seat).ok_or_else(|| {
            node.return_session();
            AdmitError::NodeFull {
                limit: node.options.limits.sessions,
            }
        })?;
        let place = Place {
            worker: Rc::clone(self),
            member,
        };
        let mut waiting = Vec::new();
        let (_, wait) = self.join(member, &node.everyone);
        waiting.extend(wait);
        for group in &mut groups {
            let (shared, wait) = self.join(member, group);
            *group = shared;
            waiting.extend(wait);
        }
        let channel = node
            .options
            .naming
            .session(node.options.id, self.session_id(member));
        let terms = Terms {
            inbound,
            groups: groups.into_boxed_slice(),
            access,
        };
        Ok((
            Ticket {
                place,
                channel,
                welcome,
                terms,
            },
            waiting,
        ))
    }

    /// The id of the session in a seat.
    pub(crate) fn session_id(&self, member: Member) -> SessionId {
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

    /// Starts the session's actor on its socket. `head` is the response head, which goes out
    /// first; then the welcome; then what has been delivered since the session joined.
    /// `received` is what the client sent behind its handshake. A socket that is not the one of
    /// the admission's link is dropped, and the seat with it.
    pub fn open(self, socket: Socket, head: Bytes, received: Bytes) {
        if socket.link().fd() != self.place.member.fd {
            // The fan-out would write to whatever connection was admitted.
            tracing::error!("a ticket was opened on another connection than its admission's");
            return;
        }
        let mut first = BytesMut::from(head);
        if self.welcome {
            let text = format!(r#"{{"type":"welcome","channel":"{}"}}"#, self.channel);
            frame::push(&mut first, Opcode::Text, text.as_bytes());
        }
        Session::start(self.place, socket, self.terms, first.freeze(), received);
    }
}
