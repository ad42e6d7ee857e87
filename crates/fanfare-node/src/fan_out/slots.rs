//! The slot table of a worker: who is alive, who is blocked, and what each session is owed.
//!
//! A slot's word is its generation and its blocked bit. A fan-out compares one word per member:
//! equal means alive and not blocked. Dropping a session raises the generation, so every entry
//! that still names it, anywhere, is dead at once. The table lives outside the registry: a
//! registry that panics orphans nothing.

use std::cell::OnceCell;
use std::io;
use std::rc::Rc;

use bytes::Bytes;
use fanfare_protocol::Close;

use super::event_sink::{EventSink, post_to_actor};
use super::fd;
use super::relief::Waiters;
use super::seat::{CloseRequest, Seat, SeatState};
use super::shared_event::{SharedBatch, SharedEvent};
use super::slot_ref::{Bounds, SlotRef};
use super::tab::{Tab, TabCharge};
use super::tally::Tally;

/// The session cannot be written to directly: what is for it goes to its outbox.
const BLOCKED: u32 = 1;
/// What waits for a session is copied up to this size, in bytes, and shared beyond it: so what an
/// outbox counts is what it keeps in memory, within a factor of two.
pub(crate) const COPIED: usize = 4096;
/// The largest control frame of a server: two bytes of head, 125 of payload.
const CONTROL: usize = 127;
/// The last generation of a slot; the slot is retired after it, so that no id is ever reused.
const LAST_GENERATION: u32 = (u32::MAX >> 1) - 1;

/// The slots of a worker thread and whoever sits in them.
pub(crate) struct Slots {
    words: Vec<u32>,
    seats: Vec<Option<Box<Seat>>>,
    free: Vec<u32>,
    bounds: Bounds,
    /// The generation of a new slot.
    first_generation: u32,
    pub(crate) tally: Tally,
    /// What is kept for the sessions.
    pub(super) tab: Rc<Tab>,
    pub(super) waiters: Waiters,
}

/// Counts the memory of frames once, however many outboxes they are in; filled by the first.
pub(super) type Pinned = OnceCell<Rc<TabCharge>>;

impl Slots {
    pub(crate) fn new(bounds: Bounds, first_generation: u32, tab: Rc<Tab>) -> Self {
        Self {
            first_generation,
            tab,
            waiters: Waiters::default(),
            words: Vec::new(),
            seats: Vec::new(),
            free: Vec::new(),
            bounds,
            tally: Tally::default(),
        }
    }

    /// Seats a session, blocked; `None` when the table is full (2^24 slots).
    pub(crate) fn take(&mut self, seat: Seat) -> Option<SlotRef> {
        let fd = seat.fd;
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None if self.words.len() < 1 << 24 => {
                self.words.push(self.first_generation << 1);
                self.seats.push(None);
                u32::try_from(self.words.len() - 1).ok()?
            }
            None => return None,
        };
        *self.seats.get_mut(slot as usize)? = Some(Box::new(seat));
        let word = self.words.get_mut(slot as usize)?;
        *word |= BLOCKED;
        Some(SlotRef {
            fd,
            slot,
            word: *word & !BLOCKED,
        })
    }

    /// Gives a seat up: from here on every entry that names it is dead.
    pub(crate) fn release(&mut self, member: SlotRef) -> Option<Box<Seat>> {
        if !self.is_alive(member) {
            return None;
        }
        let seat = self.seats.get_mut(member.slot as usize)?.take();
        let input = self.waiters.remove(member.slot);
        self.tab.change(input, 0);
        if member.generation() < LAST_GENERATION {
            *self.words.get_mut(member.slot as usize)? = (member.generation() + 1) << 1;
            self.free.push(member.slot);
        } else {
            // Beyond every member's word: dead for good.
            *self.words.get_mut(member.slot as usize)? = u32::MAX;
        }
        seat
    }

    #[inline]
    pub(crate) fn is_alive(&self, member: SlotRef) -> bool {
        self.words
            .get(member.slot as usize)
            .is_some_and(|word| word & !BLOCKED == member.word)
            && self
                .seats
                .get(member.slot as usize)
                .is_some_and(Option::is_some)
    }

    /// The entry of the session in a slot, when it is of this generation.
    pub(crate) fn find(&self, slot: u32, generation: u32) -> Option<SlotRef> {
        let seat = self.seats.get(slot as usize)?.as_ref()?;
        let member = SlotRef {
            fd: seat.fd,
            slot,
            word: generation << 1,
        };
        self.is_alive(member).then_some(member)
    }

    pub(crate) fn seat(&self, member: SlotRef) -> Option<&Seat> {
        self.is_alive(member)
            .then(|| self.seats.get(member.slot as usize)?.as_deref())
            .flatten()
    }

    pub(crate) fn seat_mut(&mut self, member: SlotRef) -> Option<&mut Seat> {
        if !self.is_alive(member) {
            return None;
        }
        self.seats.get_mut(member.slot as usize)?.as_deref_mut()
    }

    /// How much may wait for one session.
    pub(crate) fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// A generation above those of everybody who ever sat here, if there is one.
    pub(crate) fn next_generation(&self) -> Option<u32> {
        let latest = self.words.iter().map(|word| word >> 1).max();
        let next = latest.map_or(self.first_generation, |latest| latest.saturating_add(1));
        (next <= LAST_GENERATION).then_some(next)
    }

    /// Whether nobody sits here.
    pub(crate) fn is_empty(&self) -> bool {
        self.seats.iter().all(Option::is_none)
    }

    /// How many slots there are, taken or not.
    pub(crate) fn capacity(&self) -> u32 {
        u32::try_from(self.words.len()).unwrap_or(u32::MAX)
    }

    /// Whoever sits in a slot now.
    pub(crate) fn occupant(&self, slot: u32) -> Option<SlotRef> {
        let seat = self.seats.get(slot as usize)?.as_ref()?;
        let word = *self.words.get(slot as usize)? & !BLOCKED;
        Some(SlotRef {
            fd: seat.fd,
            slot,
            word,
        })
    }

    /// Whether the session is on its way to its end. An actor is no session: its owner ends it.
    pub(crate) fn is_closing(&self, member: SlotRef) -> bool {
        self.seat(member).is_none_or(|seat| {
            seat.state == SeatState::Closed
                || seat.close_requested.is_some()
                || matches!(seat.outlet, EventSink::Actor(_))
        })
    }

    /// Ends the session for a reason that its actor then acts on.
    pub(crate) fn request_close(&mut self, member: SlotRef, why: CloseRequest) {
        let Some(seat) = self.seat_mut(member) else {
            return;
        };
        // What ends it at once goes before what waits: a bound holds for those too.
        let at_once = why.is_at_once();
        if seat.close_requested.is_none() || (at_once && !seat.refuses_frames()) {
            let slow = why == CloseRequest::Slow;
            seat.close_requested = Some(Rc::new(why));
            self.tally.slow += u64::from(slow);
        }
        self.block(member);
        self.wake(member);
    }

    pub(crate) fn block(&mut self, member: SlotRef) {
        if let Some(word) = self.words.get_mut(member.slot as usize) {
            *word |= BLOCKED;
        }
    }

    /// Lets the fan-out write directly again; the outbox must be empty.
    pub(crate) fn unblock(&mut self, member: SlotRef) {
        if self.is_alive(member)
            && let Some(word) = self.words.get_mut(member.slot as usize)
        {
            *word &= !BLOCKED;
            self.waiters.forget_idle(member.slot);
        }
    }

    pub(crate) fn wake(&mut self, member: SlotRef) {
        if let Some(waker) = self.seat(member).and_then(|seat| seat.waker.as_ref()) {
            waker.wake_by_ref();
        }
    }

    /// Sends frames to a session that may be blocked or gone. Everything that writes to a socket
    /// on this thread comes through here, or from here through the outbox.
    #[inline]
    pub(crate) fn send(&mut self, member: SlotRef, frames: &Bytes, count: u32) {
        self.send_shared(member, frames, count, None);
    }

    /// As [`Self::send`], for frames that other members get too.
    #[inline]
    pub(super) fn send_shared(
        &mut self,
        member: SlotRef,
        frames: &Bytes,
        count: u32,
        pinned: Option<&Pinned>,
    ) {
        match self.words.get(member.slot as usize) {
            Some(word) if *word == member.word => self.send_now(member, frames, count, pinned),
            Some(word) if *word == member.word | BLOCKED => {
                if let Some((own, events)) = self.seat(member).and_then(Seat::unwritten) {
                    self.enqueue(member, &own, (0, events), None);
                }
                self.enqueue(member, frames, (0, count), pinned);
            }
            _ => {}
        }
    }

    /// Writes what a session's program has sent.
    pub(crate) fn flush(&mut self, member: SlotRef) {
        if let Some((frames, events)) = self.seat(member).and_then(Seat::unwritten) {
            self.send(member, &frames, events);
        }
    }

    /// Hands events to a member's program or actor, whether its socket is blocked or not.
    pub(crate) fn post(&mut self, member: SlotRef, batch: &SharedBatch) {
        let bounds = self.bounds;
        let count = batch.events.len() as u64;
        match self.words.get(member.slot as usize) {
            Some(word) if word & !BLOCKED == member.word => {}
            _ => return,
        }
        let Some(Some(seat)) = self.seats.get_mut(member.slot as usize) else {
            return;
        };
        if seat.refuses_mail() {
            self.tally.refused += count;
            return;
        }
        match &seat.outlet {
            EventSink::Socket => {}
            EventSink::Mailbox(mailbox) => {
                self.tally.posted += count;
                let place = batch.group.and_then(|group| seat.membership(group));
                batch.events.count_in(&self.tab, batch.bytes);
                let first = mailbox.post(batch, place.map(|place| place.tag));
                let waiting = mailbox.event_bytes();
                if mailbox.is_over(bounds) {
                    self.request_close(member, CloseRequest::Slow);
                } else if first && let Some(waker) = &seat.waker {
                    waker.wake_by_ref();
                }
                self.keep_mail(member, waiting);
            }
            EventSink::Actor(recipient) => {
                let full = post_to_actor(recipient, &batch.events);
                self.tally.posted += count - full;
                self.tally.mailbox_full += full;
            }
        }
    }

    /// Closes a member: a session ends behind what is on its way to it, an actor is told.
    pub(crate) fn kick(&mut self, member: SlotRef, mail: &Rc<SharedEvent>, close: &Rc<Close>) {
        let is_actor = |seat: &Seat| matches!(seat.outlet, EventSink::Actor(_));
        if self.seat(member).is_some_and(is_actor) {
            self.post(member, &SharedBatch::new(vec![Rc::clone(mail)], None));
        } else {
            self.request_close(member, CloseRequest::Kick(Rc::clone(close)));
        }
    }

    /// The word has been compared: alive, not blocked, nothing waits in front.
    #[inline]
    fn send_now(&mut self, member: SlotRef, frames: &Bytes, count: u32, pinned: Option<&Pinned>) {
        self.tally.sends += 1;
        match fd::send(member.fd, frames) {
            Ok(sent) if sent == frames.len() => {
                self.tally.delivered += u64::from(count);
                self.tally.bytes += sent as u64;
            }
            Ok(sent) => {
                self.block(member);
                self.enqueue(member, frames, (sent, count), pinned);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.block(member);
                self.enqueue(member, frames, (0, count), pinned);
            }
            Err(_) => {
                self.tally.refused += u64::from(count);
                self.request_close(member, CloseRequest::Lost);
            }
        }
    }

    /// Keeps what a socket has not taken of frames: from byte `sent` on.
    #[cold]
    fn enqueue(
        &mut self,
        member: SlotRef,
        frames: &Bytes,
        (sent, count): (usize, u32),
        pinned: Option<&Pinned>,
    ) {
        let bounds = self.bounds;
        let tab = Rc::clone(&self.tab);
        let Some(seat) = self.seat_mut(member) else {
            return;
        };
        if seat.refuses_frames() {
            self.tally.refused += u64::from(count);
            return;
        }
        let rest = frames.slice(sent..);
        let bytes = frames.len();
        let outbox = seat.outbox(&tab);
        let first = outbox.is_empty();
        if rest.len() <= COPIED {
            outbox.push(Bytes::copy_from_slice(&rest), count, rest.len(), None);
        } else {
            let shared = pinned.map(|it| it.get_or_init(|| Rc::new(tab.charge(bytes))));
            outbox.push(rest, count, bytes, shared.cloned());
        }
        // What waits alone is always taken: one message may be as large as the whole bound. A ping or
        // a close behind it is no reason to cut its session.
        let control = count == 0 && bytes <= CONTROL;
        let over = !first
            && ((!control && outbox.bytes() > bounds.bytes)
                || outbox.frames().max(outbox.runs()) > bounds.frames);
        tab.weigh(outbox.bytes());
        self.waiters.add(member.slot);
        self.tally.delivered += u64::from(count);
        self.tally.bytes += bytes as u64;
        if over {
            self.request_close(member, CloseRequest::Slow);
        } else if first {
            self.wake(member);
        }
    }
}
