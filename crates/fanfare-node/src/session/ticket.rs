//! Admission: a session gets its seat, then its groups, before its handshake is answered.

use std::rc::Rc;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use fanfare_protocol::frame::{self, Opcode};
use fanfare_protocol::{ChannelName, CloseCode, Event, json};

use super::pending_groups::PendingGroups;
use super::running::Running;
use super::{Admission, Handler, Handling, Mailbox, Program, Session, SessionOptions, Socket};
use crate::addresses::Network;
use crate::error::AdmitError;
use crate::fan_out::{EventSink, Seat, SubscribeOptions};
use crate::worker::{SeatGuard, WorkerThread};

/// A seat whose session is not open yet. Dropping it gives the seat up.
///
/// A program that has been given to it is told of the session's end also when the session never
/// opens, and runs to its own end.
pub struct Ticket {
    channel: ChannelName,
    welcome: bool,
    access: Option<Box<str>>,
    mailbox: Option<Rc<Mailbox>>,
    groups: Rc<PendingGroups>,
    /// `None` until the program is given, and once the session is open.
    handler: Option<Handler>,
    /// `None` once the session is open.
    place: Option<SeatGuard>,
}

impl Ticket {
    /// Seats a session and joins its groups; resolves when the layer has acknowledged all of
    /// them, so that open means subscribed. What is delivered meanwhile waits in its outbox.
    ///
    /// # Errors
    /// [`AdmitError`].
    pub async fn admit(
        worker: &Rc<WorkerThread>,
        admission: Admission,
    ) -> Result<Self, AdmitError> {
        let ticket = Self::seat(worker, admission)?;
        ticket.groups.join().await?;
        Ok(ticket)
    }

    /// Seats a session that is in no group yet: whoever may still refuse the client does so before
    /// [`PendingGroups::join`], and nothing is subscribed for it.
    ///
    /// # Errors
    /// [`AdmitError`].
    pub fn seat(worker: &Rc<WorkerThread>, admission: Admission) -> Result<Self, AdmitError> {
        let Admission {
            link,
            client,
            encoder,
            handling,
            groups,
            identity,
            welcome,
            access,
        } = admission;
        let node = worker.node();
        let groups: Box<[_]> = groups
            .iter()
            .map(|group| worker.shared_name(group))
            .collect();
        let mut all = groups.to_vec();
        if let Some(identity) = &identity {
            let memberships = identity.memberships();
            all.extend(memberships.filter(|own| !groups.contains(own)).cloned());
        }
        worker.check_groups(all.len())?;
        let network = client.map(Network::of);
        node.reserve_session(network)?;
        let options = SubscribeOptions {
            encoder: Arc::clone(&encoder),
            mode: handling.mode(),
            tag: 0,
        };
        let seat = worker.take(Seat::vacant(
            link.fd(),
            encoder,
            handling.mode(),
            EventSink::Socket,
        ));
        let member = seat.ok_or_else(|| {
            node.return_session();
            node.leave(network);
            AdmitError::NodeFull {
                limit: node.options.limits.sessions,
            }
        })?;
        let place = SeatGuard {
            worker: Rc::clone(worker),
            member,
            network,
        };
        let (handler, mailbox) = match handling {
            Handling::Inbound(inbound) => (Some(Handler::Inbound(inbound, groups)), None),
            Handling::Program(_) => {
                let mailbox = Rc::new(Mailbox::new(Rc::clone(worker), member, groups, identity));
                worker.give_mailbox(member, mailbox.state());
                (None, Some(mailbox))
            }
        };
        Ok(Self {
            channel: worker.channel(member),
            welcome,
            access,
            mailbox,
            handler,
            groups: Rc::new(PendingGroups::new(worker, member, all, options)),
            place: Some(place),
        })
    }

    /// The groups of the session, to be joined before it opens.
    pub fn groups(&self) -> &Rc<PendingGroups> {
        &self.groups
    }

    /// The session's channel name.
    pub fn channel(&self) -> &ChannelName {
        &self.channel
    }

    /// The program's side of the session, for [`Handling::Program`]. It works from now on: what is
    /// sent before the session opens goes out behind the 101.
    pub fn mailbox(&self) -> Option<Rc<Mailbox>> {
        self.mailbox.clone()
    }

    /// Gives the session its program, for [`Handling::Program`].
    pub fn run(&mut self, program: Program) {
        if let Some(mailbox) = &self.mailbox {
            self.handler = Some(Handler::Program(Running::new(program, Rc::clone(mailbox))));
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
        if let Some(mailbox) = &self.mailbox {
            mailbox.open();
        }
        let mut first = BytesMut::from(head);
        if self.welcome {
            // On pub/sub the channel starts with the configured prefix, which may have quotes.
            let welcome = Event::new("welcome").with("channel", self.channel.as_str());
            let mut text = BytesMut::new();
            json::write_event(&welcome, &mut text);
            frame::push(&mut first, Opcode::Text, &text);
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
