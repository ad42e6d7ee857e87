//! One worker thread's part of a node: everything its actors share, and outlives them.

mod dispatch;
mod draining;
mod flusher;
mod joining;
mod members;
mod memory;
mod registry;
mod replies;
mod run_queue;
mod seat_guard;
mod timers;
mod turn;
mod wheel;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use bytes::Bytes;
use fanfare_layer::MemoryUse;
use fanfare_protocol::{ChannelName, Encoder, GroupName, SessionId};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::directory::{Inbox, InboxBounds, WorkerPlace};
use crate::error::AdmitError;
use crate::fan_out::{
    Bounds, DeliveryMode, EventSink, FanOut, MailboxState, Roster, Seat, SeatState, SlotRef, Slots,
    SubscribeOptions, Tab,
};
use crate::node::Shared;
use draining::Draining;
use replies::Replies;
use wheel::Wheel;

pub(crate) use flusher::Flusher;
pub use joining::Pending;
pub(crate) use registry::Registry;
pub(crate) use run_queue::RunQueue;
pub use run_queue::TurnNumber;
pub(crate) use seat_guard::SeatGuard;
pub use turn::{Turn, wake_after_look};
pub(crate) use wheel::Timer;

/// The largest read of one turn, in bytes.
pub(crate) const READ_BYTES: usize = 64 * 1024;

/// A session that has been put into a group.
pub(crate) struct Joined {
    /// The name as the worker's sessions share it.
    pub(crate) group: GroupName,
    /// Whether it was not in it before.
    pub(crate) new: bool,
    /// Until the layer has acknowledged the group, if that is still to come.
    pub(crate) wait: Option<oneshot::Receiver<()>>,
}

/// The thread's part of a node. Its tasks and its sessions own it: it lives until the last of them
/// has gone, and then gives its number back.
pub struct WorkerThread {
    index: u8,
    node: Arc<Shared>,
    inbox: Arc<Inbox>,
    pub(crate) fan_out: RefCell<FanOut>,
    /// What is kept for its sessions.
    tab: Rc<Tab>,
    pub(crate) wheel: RefCell<Wheel>,
    /// One buffer for all reads of the thread: a session keeps bytes only while a message is
    /// incomplete.
    pub(crate) read_buffer: RefCell<Box<[u8]>>,
    replies: RefCell<Replies>,
    flusher: Flusher,
    run_queue: RunQueue,
    /// Ticks of the wheel since the start: the clock of pings, read without a system call.
    pub(crate) ticks: Cell<u64>,
    started: Instant,
    draining: Cell<Option<Draining>>,
    #[cfg(feature = "fault")]
    pub(crate) registry: RefCell<Option<actix::Recipient<crate::supervise::Crash>>>,
}

impl WorkerThread {
    /// The thread's part of a node, without its actors: `start.rs` starts those.
    pub(crate) fn new(node: Arc<Shared>) -> Self {
        let limits = &node.options.limits;
        let bounds = Bounds {
            bytes: limits.outbox_bytes,
            frames: limits.outbox_frames,
        };
        let WorkerPlace {
            number: index,
            first_generation,
            inbox,
        } = node.directory.add_worker(InboxBounds {
            frames: limits.inbox_frames,
            bytes: limits.inbox_bytes,
            handoff_frames: limits.handoff_frames,
            handoff_bytes: limits.handoff_bytes,
        });
        let wheel = Wheel::new(node.options.tick());
        let account = node.options.memory.account(MemoryUse::Sessions);
        let tab = Rc::new(Tab::new(account));
        Self {
            index,
            inbox,
            fan_out: RefCell::new(FanOut {
                slots: Slots::new(bounds, first_generation, Rc::clone(&tab)),
                roster: Roster::default(),
            }),
            tab,
            wheel: RefCell::new(wheel),
            read_buffer: RefCell::new(vec![0; READ_BYTES].into_boxed_slice()),
            replies: RefCell::default(),
            flusher: Flusher::default(),
            run_queue: RunQueue::default(),
            ticks: Cell::new(0),
            started: Instant::now(),
            draining: Cell::new(None),
            #[cfg(feature = "fault")]
            registry: RefCell::new(None),
            node,
        }
    }

    pub(crate) fn index(&self) -> u8 {
        self.index
    }

    /// When the thread began to serve.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    pub(crate) fn node(&self) -> &Arc<Shared> {
        &self.node
    }

    pub(crate) fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    /// Takes no deliveries any more: those that wait are lost, and nobody waits for room.
    pub(crate) fn end(&self) {
        let lost = self.inbox.close();
        self.node.metrics.dropped.no_session.inc_by(lost as u64);
    }

    /// Whether the node is closed and has nobody here, so that there is nothing to do any more.
    pub(crate) fn is_over(&self) -> bool {
        self.node.is_closed() && self.fan_out.borrow().slots.is_empty()
    }

    pub(crate) fn is_fanning_out(&self) -> bool {
        self.fan_out.borrow().roster.is_busy()
    }

    /// The channel name of a member.
    pub(crate) fn channel(&self, member: SlotRef) -> ChannelName {
        let options = &self.node.options;
        options.naming.session(options.id, self.session_id(member))
    }

    /// Bytes that wait for a session's socket.
    pub(crate) fn outbox_bytes(&self, member: SlotRef) -> usize {
        let fan_out = &*self.fan_out.borrow();
        let outbox = fan_out
            .slots
            .seat(member)
            .and_then(|seat| seat.outbox.as_ref());
        outbox.map_or(0, |outbox| outbox.bytes())
    }

    /// Whether this is the waker of the session's own task.
    pub(crate) fn is_awaited_by(&self, member: SlotRef, waker: &Waker) -> bool {
        let fan_out = &*self.fan_out.borrow();
        let own = fan_out
            .slots
            .seat(member)
            .and_then(|seat| seat.waker.as_ref());
        own.is_some_and(|own| own.will_wake(waker))
    }

    /// The id of the session in a seat.
    pub(crate) fn session_id(&self, member: SlotRef) -> SessionId {
        SessionId {
            worker: self.index,
            slot: member.slot,
            generation: member.generation(),
        }
    }

    pub(crate) fn take(&self, seat: Seat) -> Option<SlotRef> {
        self.fan_out.borrow_mut().slots.take(seat)
    }

    /// Gives a session's seat the mailbox of its program.
    pub(crate) fn give_mailbox(&self, member: SlotRef, mailbox: &Rc<MailboxState>) {
        if let Some(seat) = self.fan_out.borrow_mut().slots.seat_mut(member) {
            seat.outlet = EventSink::Mailbox(Rc::clone(mailbox));
        }
    }

    /// Seats an actor that is to be a member without being a session.
    pub(crate) fn seat_actor(&self, outlet: EventSink) -> Result<SlotRef, AdmitError> {
        self.check_groups(0)?;
        let encoder: Arc<dyn Encoder> = Arc::clone(&self.node().actors_encoder);
        let member = self.take(Seat::vacant(-1, encoder, DeliveryMode::Events, outlet));
        member.ok_or(AdmitError::NodeFull {
            limit: self.node().options.limits.sessions,
        })
    }

    /// Puts a session into a group.
    pub(crate) fn join(
        &self,
        member: SlotRef,
        group: &GroupName,
        options: &SubscribeOptions,
    ) -> Joined {
        let FanOut { slots, roster } = &mut *self.fan_out.borrow_mut();
        match roster.join(slots, member, group, options) {
            Some((group, true)) => {
                let wait = self.node.directory.join(&group, self.index);
                let new = true;
                Joined { group, new, wait }
            }
            joined => Joined {
                group: joined.map_or_else(|| group.clone(), |(shared, _)| shared),
                new: false,
                wait: None,
            },
        }
    }

    /// A session gives its seat up: from here on it is in no group and nothing is sent to it.
    pub(crate) fn vacate(&self, member: SlotRef) {
        let mut fan_out = self.fan_out.borrow_mut();
        let FanOut { slots, roster } = &mut *fan_out;
        let Some(seat) = slots.release(member) else {
            return;
        };
        let mut told = Vec::new();
        let lost = seat.outbox.as_ref().map_or(0, |outbox| outbox.frames());
        self.node.metrics.dropped.session_closed.inc_by(lost as u64);
        for membership in seat.memberships {
            if let Some((group, last)) = roster.leave(slots, membership) {
                self.node.directory.leave(&group, self.index, last);
                if self.tracks_members_individually(&group) {
                    told.push(group);
                }
            }
        }
        drop(fan_out);
        // Before the session is counted out: a drain that sees the last one go closes the layer.
        self.unsubscribe_member(member, &told);
        if !matches!(seat.outlet, EventSink::Actor(_)) {
            self.node.return_session();
        }
        if self.node.is_closed() {
            self.node.emptied.notify_waiters();
        }
    }

    /// Sends one session frames of its own behind its replies: a ping, or `events` that its program
    /// sends.
    pub(crate) fn send(&self, member: SlotRef, frames: &Bytes, events: u32) {
        self.flush_replies();
        self.write(member, frames, events);
    }

    fn write(&self, member: SlotRef, frames: &Bytes, events: u32) {
        let fan_out = &mut *self.fan_out.borrow_mut();
        fan_out.slots.send(member, frames, events);
        self.count(std::mem::take(&mut fan_out.slots.tally));
    }

    /// Sends one session its close frame, behind what is on its way to it from its groups; nothing
    /// follows it.
    pub(crate) fn send_last(&self, member: SlotRef, frames: &Bytes) {
        self.flush_replies();
        let fan_out = &mut *self.fan_out.borrow_mut();
        fan_out.roster.flush_in_flight(&mut fan_out.slots, member);
        fan_out.slots.send(member, frames, 0);
        fan_out.slots.block(member);
        if let Some(seat) = fan_out.slots.seat_mut(member) {
            seat.state = SeatState::Closed;
        }
        self.count(std::mem::take(&mut fan_out.slots.tally));
    }

    /// Gives a session that is to be closed what is on its way to it from its groups; its program
    /// gets nothing more.
    pub(crate) fn flush_in_flight(&self, member: SlotRef) {
        let fan_out = &mut *self.fan_out.borrow_mut();
        fan_out.roster.flush_in_flight(&mut fan_out.slots, member);
        if let Some(seat) = fan_out.slots.seat_mut(member) {
            seat.state = SeatState::Flushed;
        }
        self.count(std::mem::take(&mut fan_out.slots.tally));
    }

    pub(crate) fn reconcile(&self, poisoned: bool) {
        let fan_out = &mut *self.fan_out.borrow_mut();
        let (mended, lost) = fan_out.roster.reconcile(&mut fan_out.slots, poisoned);
        self.node.metrics.dropped.registry_panic.inc_by(lost);
        tracing::info!(worker = self.index, mended, lost, "the registry is rebuilt");
    }

    /// Writes what a program has sent soon, in a row with others.
    pub(crate) fn flush_soon(&self, member: SlotRef) {
        if self.flusher.defer(member) {
            self.flush_row();
        }
    }

    /// Writes what the programs of the flusher's row have sent.
    fn flush_row(&self) {
        let fan_out = &mut *self.fan_out.borrow_mut();
        self.flusher.flush(&mut fan_out.slots);
        self.count(std::mem::take(&mut fan_out.slots.tally));
    }
}

impl Drop for WorkerThread {
    fn drop(&mut self) {
        self.end();
        self.flusher.end();
        self.run_queue.end();
        let next = self.fan_out.get_mut().slots.next_generation();
        self.node.directory.remove_worker(self.index, next);
    }
}
