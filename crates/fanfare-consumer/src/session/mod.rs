//! The session, as its consumer sees it.

mod extras;
mod groups;
mod handle;
mod message;
mod send;

use std::any::TypeId;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use fanfare_node::{AdmitError, Input, Mailbox, PendingGroups, SharedEvent};
use fanfare_protocol::{ChannelName, CloseCode, Encoder, GroupName, Target, TypedError};

use crate::cluster::Cluster;

use extras::Extras;
pub(crate) use extras::Order;
pub use extras::Timer;
pub use handle::{Gone, SessionHandle};
pub use message::MessageOf;
pub use send::Unsent;

/// The session of one client, as its [`Consumer`](crate::Consumer) sees it.
///
/// Frames to the client leave in the order in which they were sent. A call that sends waits while
/// the client reads too slowly. Events are published through the [`Cluster`]. A session without
/// timers and handles uses no memory for them.
///
/// ```
/// use std::time::Duration;
///
/// use fanfare_consumer::{CloseCode, Consumer, Frame, Frames, Outcome, Session};
///
/// struct Countdown(u32);
///
/// #[derive(Clone)]
/// struct Tick;
///
/// impl Consumer<Tick> for Countdown {
///     type Event = Frames;
///
///     async fn receive(&mut self, session: &mut Session<Tick>, frame: Frame) -> Outcome {
///         self.0 = frame.into_text()?.parse()?;
///         session.every(Duration::from_secs(1), Tick);
///         Ok(())
///     }
///
///     async fn message(&mut self, session: &mut Session<Tick>, _: Tick) -> Outcome {
///         session.send_text(&self.0.to_string()).await?;
///         match self.0.checked_sub(1) {
///             Some(left) => self.0 = left,
///             None => session.close(CloseCode::NORMAL, "lift-off"),
///         }
///         Ok(())
///     }
/// }
/// ```
pub struct Session<M: 'static = ()> {
    mailbox: Rc<Mailbox>,
    encoder: Arc<dyn Encoder>,
    cluster: Cluster,
    params: Params,
    /// While the consumer connects: the declared groups and the user's, which are joined with the
    /// first thing that is published, or in the end.
    pending: Option<Rc<PendingGroups>>,
    /// Timers, futures and handles, of a session that has any.
    extras: Option<Box<Extras<M>>>,
    /// The event that is being handled.
    current: Option<Current>,
}

/// The parameters of a path, decoded.
pub(crate) type Params = Box<[(Box<str>, Box<str>)]>;

/// An event of the layer.
struct Current {
    shared: Rc<SharedEvent>,
    /// Its type and where it lies as the consumer sees it, where consumers of other types have the
    /// shared one.
    own: Option<Box<(TypeId, usize)>>,
}

/// What a session has for its consumer, or for itself.
pub(crate) enum Wake<M> {
    Input(Input),
    Message(M),
    /// Of a handle.
    Order(Order<M>),
    /// A spawned future panicked.
    Panicked,
}

impl<M: 'static> Session<M> {
    pub(crate) fn new(
        mailbox: Rc<Mailbox>,
        encoder: Arc<dyn Encoder>,
        cluster: Cluster,
        params: Params,
        pending: Rc<PendingGroups>,
    ) -> Self {
        Self {
            mailbox,
            encoder,
            cluster,
            params,
            pending: Some(pending),
            extras: None,
            current: None,
        }
    }

    /// The session's channel name, the address for [`Cluster::send`].
    pub fn channel(&self) -> ChannelName {
        self.mailbox.channel()
    }

    /// A parameter of the path, decoded; [`Request::param`](crate::Request::param) reads other
    /// types than text.
    pub fn param(&self, name: &str) -> Option<&str> {
        let mut params = self.params.iter();
        params
            .find(|(key, _)| **key == *name)
            .map(|(_, value)| &**value)
    }

    /// The id of the user that a middleware has found at the handshake.
    pub fn user(&self) -> Option<&str> {
        self.mailbox.identity()?.user()
    }

    /// The [declared](crate::Consumer::GROUPS) groups, in their order, each once. Those that were
    /// joined with [`group_add`](Self::group_add) are not among them, nor is the user's own.
    pub fn groups(&self) -> &[GroupName] {
        self.mailbox.groups()
    }

    /// The group of the event that is being handled. `None` for an event to the session's own
    /// channel, and outside of [`Consumer::event`](crate::Consumer::event). Events to a user and to
    /// everyone have groups too: `fanfare.user.<id>` and `fanfare.all`.
    pub fn event_group(&self) -> Option<&GroupName> {
        match self.current.as_ref()?.shared.target() {
            Target::Group(group) => Some(group),
            Target::Channel(_) => None,
        }
    }

    /// The cluster.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Whether the client can still be reached.
    pub fn is_open(&self) -> bool {
        self.mailbox.is_open()
    }

    /// Closes the session after everything that has been sent, with a code and a reason. A reason
    /// of more than 123 bytes is cut. Only the first call has an effect. Nothing is received after
    /// it, and timers, spawned futures and handles end.
    ///
    /// A code that cannot be sent, such as 1005, becomes 1011, and that is logged.
    pub fn close(&self, code: impl Into<CloseCode>, reason: &str) {
        close(&self.mailbox, code.into(), reason);
    }

    /// A handle on this session for tasks and threads outside of it.
    pub fn handle(&mut self) -> SessionHandle<M> {
        let channel = self.mailbox.channel();
        SessionHandle::new(self.extras().orders(), channel)
    }

    /// Sends a message to the consumer after some time, unless the session ends before.
    pub fn after(&mut self, delay: Duration, message: impl MessageOf<M>) -> Timer {
        self.extras().after(delay, message.into_message())
    }

    /// Sends a message to the consumer at the end of every period. If several periods pass while a
    /// handler is busy, only one message arrives. A period of zero counts as one millisecond.
    pub fn every(&mut self, period: Duration, message: impl MessageOf<M>) -> Timer
    where
        M: Clone,
    {
        self.extras().every(period, message.into_message())
    }

    /// Stops a timer: its message does not come any more.
    pub fn cancel(&mut self, timer: Timer) {
        timer.stop();
    }

    /// Runs a future on this thread, beside the handlers. Its result arrives as a message. It is
    /// dropped when the session ends. If it panics, the session is closed with 1011.
    pub fn spawn(&mut self, future: impl Future<Output = M> + 'static) {
        self.extras().spawn(future);
    }

    fn extras(&mut self) -> &mut Extras<M> {
        self.extras.get_or_insert_default()
    }
}

/// For the program.
impl<M: 'static> Session<M> {
    /// Joins the groups of the admission, if the consumer still connects and nothing has joined them.
    pub(crate) async fn join_pending(&self) -> Result<(), AdmitError> {
        match &self.pending {
            Some(pending) => pending.join().await,
            None => Ok(()),
        }
    }

    /// The session is in its groups.
    pub(crate) fn admitted(&mut self) {
        self.pending = None;
    }

    pub(crate) fn mailbox(&self) -> &Rc<Mailbox> {
        &self.mailbox
    }

    /// The next event, if it is what comes next and nothing else wants a turn.
    pub(crate) fn next_event(&self) -> Option<Rc<SharedEvent>> {
        if self.extras.is_none() {
            self.mailbox.try_event().map(|(_, event)| event)
        } else {
            None
        }
    }

    /// What comes next. Once the session is closing that is what came before, unless it closes
    /// itself, and its end.
    pub(crate) fn poll_wake(&mut self, cx: &mut Context<'_>) -> Poll<Wake<M>> {
        if !self.mailbox.is_open() {
            self.release();
            return self.mailbox.poll_next(cx).map(Wake::Input);
        }
        let Some(extras) = &mut self.extras else {
            return self.mailbox.poll_next(cx).map(Wake::Input);
        };
        // Neither side may starve the other.
        let first = extras.takes_its_turn();
        if first && let Poll::Ready(wake) = extras.poll_wake(cx) {
            return Poll::Ready(wake);
        }
        if let Poll::Ready(input) = self.mailbox.poll_next(cx) {
            return Poll::Ready(Wake::Input(input));
        }
        if first {
            Poll::Pending
        } else {
            extras.poll_wake(cx)
        }
    }

    /// Drops timers, spawned futures and the receiving end of the handles.
    pub(crate) fn release(&mut self) {
        let extras = self.extras.take();
        // A message that waits may panic when it is dropped, and `disconnect` is still to come.
        if catch_unwind(AssertUnwindSafe(|| drop(extras))).is_err() {
            tracing::error!("a message to a session panicked when it was dropped");
        }
    }

    /// From here on this event is handled; `own` is it as the consumer sees it, if that is not the
    /// decoded one that it shares.
    pub(crate) fn begin_event<E: 'static>(&mut self, shared: &Rc<SharedEvent>, own: Option<&E>) {
        self.current = Some(Current {
            shared: Rc::clone(shared),
            own: own.map(|own| Box::new((TypeId::of::<E>(), address(own)))),
        });
    }

    pub(crate) fn end_event(&mut self) {
        self.current = None;
    }

    /// The shared event behind an event that is being handled; none for any other value.
    fn shared_event_of<E: 'static>(&self, event: &E) -> Option<&SharedEvent> {
        let current = self.current.as_ref()?;
        let same = match &current.own {
            Some(own) => **own == (TypeId::of::<E>(), address(event)),
            None => {
                let decoded = current.shared.as_decoded::<Result<E, TypedError>>();
                matches!(decoded, Some(Ok(shared)) if address(shared) == address(event))
            }
        };
        same.then_some(&*current.shared)
    }
}

/// See [`Session::close`].
pub(crate) fn close(mailbox: &Mailbox, code: CloseCode, reason: &str) {
    let code = if code.may_be_received() {
        code
    } else {
        let code = code.0;
        tracing::error!(code, "a consumer closes with a code that cannot be sent");
        CloseCode::INTERNAL
    };
    mailbox.close(code, reason);
}

fn address<E>(event: &E) -> usize {
    std::ptr::from_ref(event).addr()
}
