//! The session actor: one per connection, pinned to its worker thread.

mod admission;
mod context;
mod drive;
mod ending;
mod life;
mod mailbox;
mod pace;
mod pending_groups;
mod program;
mod running;
mod socket;
mod ticket;

use std::num::NonZeroU64;
use std::rc::Rc;

use actix::{Actor, AsyncContext as _, Context};
use bytes::{Bytes, BytesMut};
use fanfare_layer::Publish;
use fanfare_protocol::frame::Decoder;
use fanfare_protocol::{CloseCode, GroupName};
use futures_util::future::BoxFuture;

pub use admission::{Admission, Handling};
pub use context::{Inbound, SessionContext, Step};
pub use mailbox::{Mailbox, Program};
pub use pending_groups::PendingGroups;
pub use socket::{Link, Socket};
pub use ticket::Ticket;

use crate::worker::{SeatGuard, TurnNumber};
use drive::Drive;
use ending::{Ending, Phase};
use life::Life;
use pace::{Pace, Pause};
use running::Running;

/// The actor. Its fields are dropped in this order: the seat is given up before the socket, so
/// that no entry names a descriptor that is closed.
pub(crate) struct Session {
    place: SeatGuard,
    socket: Socket,
    decoder: Decoder,
    terms: SessionOptions,
    phase: Phase,
    /// Input that waits for a publish to find room, or for the session's next turn. Meanwhile the
    /// socket is not read.
    backlog: Option<Box<BytesMut>>,
    /// While it waits for room in the layer the session does not read its socket.
    publishing: Option<BoxFuture<'static, Publish>>,
    /// Of the session in the run queue, while it waits there.
    turn_number: Option<TurnNumber>,
    life: Life,
    /// How much the client has sent, against its rate.
    pace: Pace,
    /// While the client is over its rate the session does not read its socket.
    pause: Option<Box<Pause>>,
    /// Why the session is closing, once somebody has begun to close it.
    cause: Option<Ending>,
    /// The code of the close frame that was sent, or that the peer sent first.
    code: Option<CloseCode>,
    /// Tick until which a program may take in what was posted before the session is closed.
    patience: Option<NonZeroU64>,
    /// Why the session has ended; a session that is dropped without has panicked.
    ending: Option<Ending>,
}

/// What a session was admitted with and keeps.
pub(crate) struct SessionOptions {
    pub(crate) handler: Handler,
    /// For the access lines.
    pub(crate) access: Option<Box<str>>,
}

/// Who handles what comes in.
pub(crate) enum Handler {
    /// An object of the route, with the groups of that route.
    Inbound(Rc<dyn Inbound>, Box<[GroupName]>),
    /// The session's own program.
    Program(Running),
    /// The program runs on beside the session, which is over.
    Concluded,
}

impl Session {
    /// Starts the actor on this thread. `head` goes out before everything else; `received` came in
    /// behind the handshake.
    pub(crate) fn start(
        place: SeatGuard,
        socket: Socket,
        terms: SessionOptions,
        head: Bytes,
        received: Bytes,
    ) {
        let worker = Rc::clone(&place.worker);
        let slots = &mut worker.fan_out.borrow_mut().slots;
        slots.put_in_front(place.member, head);
        worker.node().metrics.opened.inc();
        if let Some(access) = &terms.access {
            tracing::info!(target: "fanfare::access", "WebSocket CONNECT {access}");
        }
        let backlog = (!received.is_empty()).then(|| Box::new(BytesMut::from(received)));
        let session = Self {
            place,
            socket,
            decoder: Decoder::new(),
            terms,
            phase: Phase::Open,
            backlog,
            publishing: None,
            turn_number: None,
            life: Life::new(worker.ticks.get()),
            pace: Pace::default(),
            pause: None,
            cause: None,
            code: None,
            patience: None,
            ending: None,
        };
        Actor::start(session);
    }
}

impl Actor for Session {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.schedule_ping();
        context.spawn(Drive);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.finish();
    }
}

#[cfg(feature = "fault")]
impl actix::Handler<crate::supervise::Crash> for Session {
    type Result = ();

    #[expect(clippy::panic, reason = "the fault that tests inject")]
    fn handle(&mut self, _: crate::supervise::Crash, _: &mut Self::Context) {
        panic!("injected into a session");
    }
}

#[cfg(test)]
mod tests {
    use actix::dev::ContextFut;

    use super::*;
    use crate::fan_out::{MailboxState, Seat};

    /// What tokio keeps for a task besides its future, in bytes; together they take a multiple of
    /// 128.
    const TASK: usize = 104;
    /// The counts of a shared allocation, in bytes.
    const COUNTS: usize = 16;

    #[test]
    fn a_session_that_waits_keeps_little() {
        let task = TASK + size_of::<ContextFut<Session, Context<Session>>>();
        let mailbox = COUNTS + size_of::<Mailbox>();
        let state = COUNTS + size_of::<MailboxState>();
        let sizes = [task, size_of::<Seat>(), mailbox, state];
        // Each is the largest of its size class.
        let most = [640, 128, 96, 128];
        let little = sizes.iter().zip(most).all(|(size, most)| *size <= most);
        assert!(little, "{sizes:?} bytes, at most {most:?}");
    }
}
