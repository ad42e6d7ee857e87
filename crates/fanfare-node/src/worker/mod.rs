//! One worker thread's part of a node: everything its actors share, and outlives them.

mod draining;
mod flusher;
mod joining;
mod members;
mod registry;
mod seat_guard;
mod wheel;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fanfare_layer::Delivery;
use fanfare_protocol::{ChannelName, Encoder, GroupName, SessionId, Target, Undeliverable};
use smallvec::SmallVec;
use tokio::sync::oneshot;

use crate::directory::{Inbox, InboxBounds, Question};
use crate::error::AdmitError;
use crate::fan_out::{
    Bounds, DeliveryMode, Dropped, EventSink, FanOut, MailboxState, Roster, Seat, SlotRef, Slots,
    SubscribeOptions, Tally,
};
use crate::node::Shared;
use draining::Draining;
use wheel::{Due, Wheel};

pub(crate) use flusher::Flusher;
pub(crate) use joining::Acknowledgements;
pub use joining::Pending;
pub(crate) use registry::Registry;
pub(crate) use seat_guard::SeatGuard;
pub(crate) use wheel::Timer;

/// The largest read of one turn, in bytes.
pub(crate) const READ_BYTES: usize = 64 * 1024;
/// Deliveries taken from the inbox in one turn, so that a turn stays short.
const TURN: usize = 512;

/// The length of a slice of fan-out: what else the thread has to do comes between slices.
const SLICE: Duration = Duration::from_micros(500);

/// A session that has been put into a group.
pub(crate) struct Joined {
    /// The name as the worker's sessions share it.
    pub(crate) group: GroupName,
    /// Whether it was not in it before.
    pub(crate) new: bool,
    /// Until the layer has acknowledged the group, if that is still to come.
    pub(crate) wait: Option<oneshot::Receiver<()>>,
}

/// The thread's part of a node. Lives as long as the thread has sessions of it.
pub struct WorkerThread {
    index: u8,
    node: Arc<Shared>,
    inbox: Arc<Inbox>,
    pub(crate) fan_out: RefCell<FanOut>,
    pub(crate) wheel: RefCell<Wheel>,
    /// One buffer for all reads of the thread: a session keeps bytes only while a message is
    /// incomplete.
    pub(crate) read_buffer: RefCell<Box<[u8]>>,
    flusher: Flusher,
    /// Ticks of the wheel since the start: the clock of pings, read without a system call.
    pub(crate) ticks: Cell<u64>,
    draining: Cell<Option<Draining>>,
    #[cfg(feature = "fault")]
    pub(crate) registry: RefCell<Option<actix::Recipient<crate::supervise::Crash>>>,
}

impl WorkerThread {
    /// The thread's part of a node, without its actors: `start.rs` starts those.
    pub(crate) fn new(node: Arc<Shared>, index: u8) -> Self {
        let limits = &node.options.limits;
        let bounds = Bounds {
            bytes: limits.outbox_bytes,
            frames: limits.outbox_frames,
        };
        let inbox = Arc::new(Inbox::new(InboxBounds {
            frames: limits.inbox_frames,
            bytes: limits.inbox_bytes,
            handoff_frames: limits.handoff_frames,
            handoff_bytes: limits.handoff_bytes,
        }));
        node.directory.add_worker(index, Arc::clone(&inbox));
        let wheel = Wheel::new(node.options.tick());
        Self {
            index,
            inbox,
            fan_out: RefCell::new(FanOut {
                slots: Slots::new(bounds),
                roster: Roster::default(),
            }),
            wheel: RefCell::new(wheel),
            read_buffer: RefCell::new(vec![0; READ_BYTES].into_boxed_slice()),
            flusher: Flusher::default(),
            ticks: Cell::new(0),
            draining: Cell::new(None),
            #[cfg(feature = "fault")]
            registry: RefCell::new(None),
            node,
        }
    }

    pub(crate) fn index(&self) -> u8 {
        self.index
    }

    pub(crate) fn node(&self) -> &Arc<Shared> {
        &self.node
    }

    pub(crate) fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
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

    /// Fires a member's timer in `after`, or sooner; answers at which tick.
    pub(crate) fn schedule(&self, member: SlotRef, timer: Timer, after: Duration) -> u64 {
        let due = Due {
            slot: member.slot,
            generation: member.generation(),
            timer,
        };
        self.ticks.get() + self.wheel.borrow_mut().schedule(due, after)
    }

    /// The tick at which `after` has passed.
    pub(crate) fn tick_in(&self, after: Duration) -> u64 {
        let length = self.wheel.borrow().tick_length().as_nanos().max(1);
        let ticks = u64::try_from(after.as_nanos().div_ceil(length)).unwrap_or(u64::MAX);
        self.ticks.get().saturating_add(ticks)
    }

    /// How long a number of ticks takes.
    pub(crate) fn ticks_length(&self, ticks: u64) -> Duration {
        let length = self.wheel.borrow().tick_length();
        length.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX))
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

    fn answer(&self, question: Question) {
        // An answer that nobody waits for any more is dropped: the caller was.
        match question {
            Question::Channels { group, answer } => drop(answer.send(self.channels(&group))),
        }
    }

    /// The channels of a group's members on this worker.
    fn channels(&self, group: &GroupName) -> Vec<ChannelName> {
        let members = self.fan_out.borrow().roster.members(group);
        members
            .into_iter()
            .map(|member| self.channel(member))
            .collect()
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
    }

    /// One turn of the registry: what has arrived is put on its way, and one slice of it is sent.
    pub(crate) fn turn(&self) {
        for question in self.inbox.questions() {
            self.answer(question);
        }
        let fan_out = &mut *self.fan_out.borrow_mut();
        let limits = &self.node.options.limits;
        for _ in 0..TURN {
            let roster = &fan_out.roster;
            if roster.waiting() >= limits.inbox_frames
                || roster.waiting_bytes() >= limits.fan_out_bytes
            {
                // The fan-out lags: what it has not sent stays bounded, and publishers wait.
                break;
            }
            let Some(delivery) = self.inbox.pop() else {
                break;
            };
            self.dispatch(fan_out, &delivery);
        }
        let FanOut { slots, roster } = fan_out;
        let started = Instant::now();
        roster.slice(
            slots,
            || started.elapsed() >= SLICE,
            |batch| {
                let now = Instant::now();
                for arrived in batch.arrivals() {
                    let took = now.saturating_duration_since(arrived);
                    self.node.metrics.fan_out.observe(took.as_secs_f64());
                }
            },
        );
        self.count(std::mem::take(&mut slots.tally));
    }

    fn dispatch(&self, fan_out: &mut FanOut, delivery: &Delivery) {
        let dropped = &self.node.metrics.dropped;
        match &delivery.target {
            Target::Group(group) => {
                let excluded = self.members_here(&fan_out.slots, &delivery.envelope.exclude);
                let FanOut { slots, roster } = fan_out;
                self.count_dropped(roster.append(slots, group, delivery, &excluded));
            }
            Target::Channel(channel) => {
                let Some(member) = self.member(&fan_out.slots, channel) else {
                    dropped.no_session.inc();
                    return;
                };
                match fan_out
                    .roster
                    .send_to_one(&mut fan_out.slots, member, delivery)
                {
                    Ok(()) => {
                        let took = delivery.arrived.elapsed().as_secs_f64();
                        self.node.metrics.fan_out.observe(took);
                    }
                    Err(Undeliverable::FieldMissing) => dropped.field_missing.inc(),
                    Err(Undeliverable::UnknownType) => dropped.unknown_type.inc(),
                }
            }
        }
    }

    pub(crate) fn count_dropped(&self, lost: Dropped) {
        if lost != Dropped::default() {
            let dropped = &self.node.metrics.dropped;
            dropped.no_members.inc_by(lost.no_members);
            dropped.field_missing.inc_by(lost.field_missing);
            dropped.unknown_type.inc_by(lost.unknown_type);
        }
    }

    fn members_here(&self, slots: &Slots, channels: &[ChannelName]) -> SmallVec<[SlotRef; 1]> {
        channels
            .iter()
            .filter_map(|channel| self.member(slots, channel))
            .collect()
    }

    /// The session of this worker behind a channel name.
    pub(crate) fn member(&self, slots: &Slots, channel: &ChannelName) -> Option<SlotRef> {
        let (node, session) = self.node.options.naming.locate(channel.as_str())?;
        if node != self.node.options.id || session.worker != self.index {
            return None;
        }
        slots.find(session.slot, session.generation)
    }

    pub(crate) fn count(&self, tally: Tally) {
        let metrics = &self.node.metrics;
        if tally.sends > 0 || tally.delivered > 0 {
            metrics.delivered.inc_by(tally.delivered);
            metrics.sent_bytes.inc_by(tally.bytes);
        }
        if tally.refused > 0 {
            metrics.dropped.session_closed.inc_by(tally.refused);
        }
        if tally.slow > 0 {
            metrics.slow.inc_by(tally.slow);
        }
        if tally.posted > 0 {
            metrics.posted.inc_by(tally.posted);
        }
        if tally.mailbox_full > 0 {
            metrics.dropped.mailbox_full.inc_by(tally.mailbox_full);
        }
    }

    /// Sends one session frames of its own: a reply or a pong, or `events` that its program sends.
    pub(crate) fn send(&self, member: SlotRef, frames: &Bytes, events: u32) {
        let fan_out = &mut *self.fan_out.borrow_mut();
        fan_out.slots.send(member, frames, events);
        self.count(std::mem::take(&mut fan_out.slots.tally));
    }

    /// Sends one session its close frame, behind what is on its way to it from its groups; nothing
    /// follows it.
    pub(crate) fn send_last(&self, member: SlotRef, frames: &Bytes) {
        let fan_out = &mut *self.fan_out.borrow_mut();
        fan_out.roster.flush_in_flight(&mut fan_out.slots, member);
        fan_out.slots.send(member, frames, 0);
        fan_out.slots.block(member);
        if let Some(seat) = fan_out.slots.seat_mut(member) {
            seat.closed = true;
        }
        self.count(std::mem::take(&mut fan_out.slots.tally));
    }

    /// Gives a session that is to be closed what is on its way to it from its groups; its program
    /// gets nothing more.
    pub(crate) fn flush_in_flight(&self, member: SlotRef) {
        let fan_out = &mut *self.fan_out.borrow_mut();
        fan_out.roster.flush_in_flight(&mut fan_out.slots, member);
        if let Some(seat) = fan_out.slots.seat_mut(member) {
            seat.flushed = true;
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

    pub(crate) fn tick(&self) {
        self.ticks.set(self.ticks.get() + 1);
        let due = self.wheel.borrow_mut().advance();
        let slots = &mut self.fan_out.borrow_mut().slots;
        for Due {
            slot,
            generation,
            timer,
        } in due
        {
            if let Some(member) = slots.find(slot, generation) {
                if let Some(seat) = slots.seat_mut(member) {
                    match timer {
                        Timer::Session => seat.timer_fired = true,
                        Timer::Program => seat.program_timer_fired = true,
                    }
                }
                slots.wake(member);
            }
        }
        let window = match self.node.drain.load(Ordering::Acquire) {
            0 => return,
            millis => Duration::from_millis(millis - 1),
        };
        let now = Instant::now();
        let mut draining = self
            .draining
            .get()
            .unwrap_or_else(|| Draining::new(now, window));
        draining.advance(slots, now, window);
        self.draining.set(Some(draining));
    }
}
