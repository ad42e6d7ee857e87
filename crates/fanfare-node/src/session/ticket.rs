//! Admission: a session gets its seat and its groups before its handshake is answered.

use std::rc::Rc;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use fanfare_protocol::frame::{self, Opcode};
use fanfare_protocol::{ChannelName, CloseCode};
use tokio::time::{Instant, timeout_at};

use super::running::Running;
use super::{Admission, Handler, Handling, Mailbox, Program, Session, SessionOptions, Socket};
use crate::error::AdmitError;
use crate::fan_out::{EventSink, Seat, SubscribeOptions};
use crate::worker::{Acknowledgements, SeatGuard, WorkerThread};

/// A seat whose session has joined its groups and is not open yet. Dropping it gives the seat up.
///
/// A program that has been given to it is told of the session's end also when the session never
/// opens, and runs to its own end.
pub struct Ticket {
    channel: ChannelName,
    welcome: bool,
    access: Option<Box<str>>,
    mailbox: Option<Rc<Mailbox>>,
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
        let node = worker.node();
        let deadline = Instant::now() + node.options.join_timeout;
        if !node.layer_is_there(deadline).await {
            node.metrics.refused.layer.inc();
            return Err(AdmitError::LayerDown);
        }
        let (ticket, waiting) = Self::seat(worker, admission)?;
        match timeout_at(deadline, waiting.acknowledged()).await {
            Ok(true) => Ok(ticket),
            _ => {
                node.metrics.refused.layer.inc();
                Err(AdmitError::LayerTimeout)
            }
        }
    }

    fn seat(
        worker: &Rc<WorkerThread>,
        admission: Admission,
    ) -> Result<(Self, Acknowledgements<'_>), AdmitError> {
        let Admission {
            link,
            encoder,
            handling,
            mut groups,
            welcome,
            access,
        } = admission;
        let node = worker.node();
        worker.check_groups(groups.len())?;
        node.reserve_session()?;
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
            AdmitError::NodeFull {
                limit: node.options.limits.sessions,
            }
        })?;
        let place = SeatGuard {
            worker: Rc::clone(worker),
            member,
        };
        let waiting = worker.join_first(member, &mut groups, &options);
        let groups = groups.into_boxed_slice();
        let (handler, mailbox) = match handling {
            Handling::Inbound(inbound) => (Some(Handler::Inbound(inbound, groups)), None),
            Handling::Program(_) => {
                let mailbox = Rc::new(Mailbox::new(Rc::clone(worker), member, groups));
                worker.give_mailbox(member, mailbox.state());
                (None, Some(mailbox))
            }
        };
        let ticket = Ticket {
            channel: worker.channel(member),
            welcome,
            access,
            mailbox,
            handler,
            place: Some(place),
        };
        Ok((ticket, waiting))
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
