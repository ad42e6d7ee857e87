//! A program's side of its session: what comes in for it, and what it sends.
//!
//! A program is the future of one session, polled by the session's actor on the session's thread.
//! The actor and the registry put input into the mailbox, the program takes it out; what the program
//! sends in one poll leaves in one write.

mod timers;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use bytestring::ByteString;
use fanfare_layer::Publish;
use fanfare_protocol::frame::Opcode;
use fanfare_protocol::{ChannelName, CloseCode, Envelope, GroupName, Target};

use crate::error::JoinError;
use crate::fan_out::{
    COPIED, FLUSH_BYTES, Input, MailboxState, SharedEvent, SlotRef, SubscribeOptions,
};
use crate::identity::Identity;
use crate::node::Node;
use crate::worker::{Pending, Turn, WorkerThread};
use timers::Timers;

/// What one session does: ends after [`Input::Ended`].
pub type Program = Pin<Box<dyn Future<Output = ()>>>;

/// What a program may send in one poll, in bytes, before it is asked to look at its thread.
const MUCH_BYTES: usize = 16 * 1024;

/// A program's handle on its session: it takes what comes, and sends, publishes, joins and closes.
pub struct Mailbox {
    worker: Rc<WorkerThread>,
    member: SlotRef,
    life: Cell<Life>,
    /// What was taken last is still in work: nothing more has been asked for.
    working: Cell<bool>,
    groups: Box<[GroupName]>,
    identity: Option<Arc<Identity>>,
    /// What waits in both directions; the session's seat has it too.
    state: Rc<MailboxState>,
    uncommon: RefCell<Option<Box<Uncommon>>>,
}

/// What most sessions need at no time, or once.
#[derive(Default)]
struct Uncommon {
    closing: Option<Closing>,
    /// Of sends that wait for room in a set of futures, which polls only those that are woken.
    waiters: Vec<Waker>,
    timers: Timers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    /// The handshake is not answered yet.
    Opening,
    Open,
    /// The close frame is on its way: what came before is still taken, and nothing is sent.
    Shut,
    /// The program has asked for the end, and been heard.
    Closing,
    Ended(CloseCode),
    /// And the program knows.
    Told,
}

/// A program's wish to end its session.
pub(crate) struct Closing {
    pub(crate) code: CloseCode,
    pub(crate) reason: ByteString,
    /// The program failed; it did not want this.
    pub(crate) failed: bool,
}

impl Mailbox {
    pub(crate) fn new(
        worker: Rc<WorkerThread>,
        member: SlotRef,
        groups: Box<[GroupName]>,
        identity: Option<Arc<Identity>>,
    ) -> Self {
        Self {
            worker,
            member,
            life: Cell::new(Life::Opening),
            working: Cell::new(false),
            groups,
            identity,
            state: Rc::default(),
            uncommon: RefCell::default(),
        }
    }

    /// What the fan-out works on.
    pub(crate) fn state(&self) -> &Rc<MailboxState> {
        &self.state
    }

    /// The session's channel name.
    pub fn channel(&self) -> ChannelName {
        self.worker.channel(self.member)
    }

    /// Whose session it is, if that is known.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_deref()
    }

    /// The groups of the session's route, in their order.
    pub fn groups(&self) -> &[GroupName] {
        &self.groups
    }

    /// The session's node.
    pub fn node(&self) -> Node {
        Node::from_shared(Arc::clone(self.worker.node()))
    }

    /// Puts the session into a group; resolves when the layer has acknowledged it. The subscription
    /// has the encoder and the mode of the session's admission and the tag 0; one that there is
    /// already stays as it is.
    ///
    /// # Errors
    /// [`JoinError`]; the session is not in the group then, unless it was before.
    pub async fn join(&self, group: &GroupName) -> Result<(), JoinError> {
        self.worker.join_later(self.member, group).await
    }

    /// Subscribes the session to a group; resolves when the layer has acknowledged it. The session
    /// gets nothing of the group until [`Pending::activate`]: what arrives meanwhile waits, and a
    /// session for which more waits than its outbox may hold is cut.
    ///
    /// A subscription of the same group that is live already stays so, and gets these options when
    /// it is activated again.
    ///
    /// # Errors
    /// [`JoinError`]; the session is not in the group then, unless it was before.
    pub async fn subscribe(
        &self,
        group: &GroupName,
        options: SubscribeOptions,
    ) -> Result<Pending, JoinError> {
        self.worker.subscribe(self.member, group, options).await
    }

    /// Takes the session out of a group; whether it was in it. Nobody leaves everyone's group.
    pub fn leave(&self, group: &GroupName) -> bool {
        self.worker.leave(self.member, group)
    }

    /// Publishes to the layer.
    pub fn publish(&self, target: Target, envelope: Arc<Envelope>) -> Publish {
        self.worker.node().publish(target, envelope)
    }

    /// Whether what is sent can still reach the client.
    pub fn is_open(&self) -> bool {
        matches!(self.life.get(), Life::Opening | Life::Open) && !self.is_to_close()
    }

    /// Whether the program wants the end and has not been heard.
    fn is_to_close(&self) -> bool {
        let uncommon = self.uncommon.borrow();
        uncommon.as_ref().is_some_and(|it| it.closing.is_some())
    }

    /// The next input. Pending keeps no waker: the session's task, which polls the program, is
    /// woken when something comes.
    pub fn poll_next(&self, _: &mut Context<'_>) -> Poll<Input> {
        self.try_next().map_or(Poll::Pending, Poll::Ready)
    }

    /// The next input, if there is one.
    pub fn try_next(&self) -> Option<Input> {
        let input = self.take_next();
        self.working.set(input.is_some());
        input
    }

    fn take_next(&self) -> Option<Input> {
        if let Some(code) = self.take_end() {
            return Some(Input::Ended(code));
        }
        if !self.is_open() && self.life.get() != Life::Shut {
            return None;
        }
        self.state.queue.borrow_mut().take()
    }

    /// The next input, if it is an event: the same as [`Self::try_next`] for those who expect many.
    pub fn try_event(&self) -> Option<(Option<u32>, Rc<SharedEvent>)> {
        if self.life.get() != Life::Open || self.is_to_close() {
            return None;
        }
        let event = self.state.queue.borrow_mut().take_event();
        self.working.set(self.working.get() || event.is_some());
        event
    }

    /// The end alone, once it has come: what else waits stays where it is.
    pub fn take_end(&self) -> Option<CloseCode> {
        let Life::Ended(code) = self.life.get() else {
            return None;
        };
        self.life.set(Life::Told);
        Some(code)
    }

    /// Sends the client a message; false when the session has ended or is closing.
    pub fn send(&self, opcode: Opcode, payload: &[u8]) -> bool {
        if !self.is_open() {
            return false;
        }
        self.state.push(opcode, payload);
        self.flush_if_large();
        true
    }

    /// Sends the client frames that are encoded already; `events` of them are counted as
    /// delivered. False when the session has ended or is closing.
    pub fn send_frames(&self, frames: &Bytes, events: u32) -> bool {
        if !self.is_open() {
            return false;
        }
        if frames.len() > COPIED {
            self.flush();
            self.write(frames, events);
            return true;
        }
        self.state.push_frames(frames, events);
        self.flush_if_large();
        true
    }

    /// Whether so much has been sent that [`Self::poll_room`] may have to wait, or that the thread's
    /// other sessions should have their turn.
    pub fn has_sent_much(&self) -> bool {
        self.state.crowded.get() || self.state.output_bytes() > MUCH_BYTES
    }

    /// Ready when little waits to be written. Before the handshake is answered that is always so:
    /// what is sent then waits, within the bound of an outbox.
    pub fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.has_room() {
            return Poll::Ready(());
        }
        // The session's task polls the program again when it has drained the outbox.
        if !self.worker.is_awaited_by(self.member, cx.waker()) {
            let mut uncommon = self.uncommon.borrow_mut();
            let waiters = &mut uncommon.get_or_insert_default().waiters;
            if !waiters.iter().any(|waiter| waiter.will_wake(cx.waker())) {
                waiters.push(cx.waker().clone());
            }
        }
        Poll::Pending
    }

    fn has_room(&self) -> bool {
        if !self.state.crowded.get() || self.life.get() != Life::Open {
            return true;
        }
        let has_room = self.worker.outbox_bytes(self.member) < FLUSH_BYTES;
        self.state.crowded.set(!has_room);
        has_room
    }

    /// Wakes the sends that wait, if there is room for them.
    pub(crate) fn offer_room(&self) {
        let waits = |it: &Uncommon| !it.waiters.is_empty();
        if !self.uncommon.borrow().as_deref().is_some_and(waits) || !self.has_room() {
            return;
        }
        let mut uncommon = self.uncommon.borrow_mut();
        let waiters = uncommon.as_mut().map(|it| std::mem::take(&mut it.waiters));
        drop(uncommon);
        waiters.into_iter().flatten().for_each(Waker::wake);
    }

    /// Waits until the session's thread has time for a program whose [`Turn`] is over: it has looked at
    /// its sockets, and it is this program's turn.
    pub async fn next_turn(&self) -> Turn {
        self.worker.next_turn().await
    }

    /// Ends the session behind what has been sent, with a code and a reason of at most 123 bytes;
    /// what is longer is cut. The first call counts.
    pub fn close(&self, code: CloseCode, reason: &str) {
        self.ask_to_close(code, reason, false);
    }

    /// Ends the session with 1011, counted as failed.
    pub fn fail(&self) {
        self.ask_to_close(CloseCode::INTERNAL, "internal error", true);
    }

    fn ask_to_close(&self, code: CloseCode, reason: &str, failed: bool) {
        if !self.is_open() {
            return;
        }
        let mut uncommon = self.uncommon.borrow_mut();
        uncommon.get_or_insert_default().closing = Some(Closing {
            code,
            reason: ByteString::from(reason),
            failed,
        });
    }

    fn flush_if_large(&self) {
        if self.state.output_bytes() >= FLUSH_BYTES {
            self.flush();
        }
    }

    /// Hands what the program has sent to the socket together with what others send.
    pub(crate) fn flush_soon(&self) {
        if self.state.output_bytes() > 0 && !self.state.deferred.replace(true) {
            self.worker.flush_soon(self.member);
        }
    }

    /// Hands what the program has sent to the socket.
    pub(crate) fn flush(&self) {
        if let Some((frames, events)) = self.state.take_output() {
            self.write(&frames, events);
        }
    }

    fn write(&self, frames: &Bytes, events: u32) {
        self.worker.send(self.member, frames, events);
        self.state.crowded.set(true);
    }

    pub(crate) fn worker(&self) -> &Rc<WorkerThread> {
        &self.worker
    }

    /// The handshake is about to be answered.
    pub(crate) fn open(&self) {
        self.life.set(Life::Open);
    }

    /// The close frame goes out: whoever sends is told from now on.
    pub(crate) fn shut(&self) {
        if self.life.get() == Life::Open {
            self.life.set(Life::Shut);
        }
    }

    /// What the program has asked for; from now on it is closing.
    pub(crate) fn take_closing(&self) -> Option<Closing> {
        let closing = self.uncommon.borrow_mut().as_mut()?.closing.take()?;
        self.life.set(Life::Closing);
        Some(closing)
    }

    /// The session is over: what waits for the program is dropped, and it is told.
    pub(crate) fn end(&self, code: CloseCode) {
        let queue = self.state.queue.take();
        let dropped = &self.worker.node().metrics.dropped;
        dropped.session_closed.inc_by(queue.events() as u64);
        if !matches!(self.life.get(), Life::Ended(_) | Life::Told) {
            self.life.set(Life::Ended(code));
        }
        self.offer_room();
    }

    /// A text message of the client.
    pub(crate) fn push_text(&self, text: &str) {
        self.state
            .queue
            .borrow_mut()
            .push_text(ByteString::from(text));
    }

    /// A binary message of the client.
    pub(crate) fn push_binary(&self, bytes: &[u8]) {
        let bytes = Bytes::copy_from_slice(bytes);
        self.state.queue.borrow_mut().push_binary(bytes);
    }

    /// Whether events wait.
    pub(crate) fn has_events(&self) -> bool {
        self.state.queue.borrow().events() > 0
    }

    /// Whether no more of the client's messages should be read.
    pub(crate) fn is_full(&self) -> bool {
        self.state.queue.borrow().is_full()
    }

    /// Whether the program has something to do that came before now.
    pub(crate) fn is_occupied(&self) -> bool {
        self.working.get() || self.is_busy()
    }

    /// Whether input waits.
    pub(crate) fn is_busy(&self) -> bool {
        !self.state.queue.borrow().is_empty()
    }
}
