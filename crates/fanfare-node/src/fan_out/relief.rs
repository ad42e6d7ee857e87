//! What a worker thread gives up when the node is short of memory: the sessions for which most waits.

use std::cmp::Reverse;
use std::rc::Rc;

use bytes::Bytes;
use fanfare_protocol::NameMap;

use super::event_sink::EventSink;
use super::outbox::Outbox;
use super::seat::{CloseRequest, Seat};
use super::slot_ref::SlotRef;
use super::slots::Slots;
use super::tab::Tab;

/// Events in a mailbox from which on its session is one of those that are looked at.
const HEAVY_MAIL: usize = 16 * 1024;

/// The sessions for which something may wait, and the bytes of their clients' input that are kept.
#[derive(Default)]
pub(super) struct Waiters(NameMap<u32, usize>);

impl Waiters {
    /// Something waits for the session in this slot.
    pub(super) fn add(&mut self, slot: u32) {
        self.0.entry(slot).or_default();
    }

    /// Nothing waits for the session in this slot.
    pub(super) fn forget_idle(&mut self, slot: u32) {
        if self.0.get(&slot) == Some(&0) {
            self.0.remove(&slot);
        }
    }

    /// The session in this slot has ended; answers the bytes of its client's input.
    pub(super) fn remove(&mut self, slot: u32) -> usize {
        self.0.remove(&slot).unwrap_or_default()
    }
}

impl Seat {
    /// What waits in its outbox, which is made if there is none.
    pub(super) fn outbox(&mut self, tab: &Rc<Tab>) -> &mut Outbox {
        self.outbox
            .get_or_insert_with(|| Box::new(Outbox::new(tab.charge(0))))
    }

    /// Bytes that its outbox and its mailbox keep.
    fn kept(&self) -> usize {
        let outbox = self.outbox.as_ref().map_or(0, |outbox| outbox.bytes());
        match &self.outlet {
            EventSink::Mailbox(mailbox) => outbox + mailbox.event_bytes(),
            EventSink::Socket | EventSink::Actor(_) => outbox,
        }
    }
}

impl Slots {
    /// Puts the head of the answer in front of everything that waits for a session.
    pub(crate) fn put_in_front(&mut self, member: SlotRef, head: Bytes) {
        let tab = Rc::clone(&self.tab);
        if let Some(seat) = self.seat_mut(member) {
            seat.outbox(&tab).push_front(head);
        }
    }

    /// So many bytes of a client's input are kept now: messages that are not complete or not handled.
    pub(crate) fn keep_input(&mut self, member: SlotRef, bytes: usize) {
        if !self.is_alive(member) {
            return;
        }
        let input = self.waiters.0.entry(member.slot).or_default();
        self.tab.change(*input, bytes);
        *input = bytes;
        let weight = self.weight(member);
        if weight == 0 {
            self.waiters.remove(member.slot);
        }
        self.tab.weigh(weight);
    }

    /// A mailbox keeps so many bytes of events now.
    #[inline]
    pub(super) fn keep_mail(&mut self, member: SlotRef, bytes: usize) {
        if bytes >= HEAVY_MAIL {
            self.waiters.add(member.slot);
            self.tab.weigh(bytes);
        }
    }

    /// Ends the sessions for which most waits, those above `floor` bytes, until `excess` bytes are
    /// given up.
    pub(crate) fn give_up(&mut self, floor: usize, excess: usize) {
        let slots = self.waiters.0.keys();
        let waiters = slots.filter_map(|slot| {
            let member = self.occupant(*slot)?;
            Some((self.weight(member), member))
        });
        let mut heavy: Vec<_> = waiters.filter(|(weight, _)| *weight > 0).collect();
        heavy.sort_unstable_by_key(|(weight, _)| Reverse(*weight));
        self.tab.forget_heaviest();
        let mut given_up = 0;
        for (weight, member) in heavy {
            if given_up >= excess || weight < floor {
                self.tab.weigh(weight);
                break;
            }
            given_up += weight;
            self.cut(member);
        }
    }

    /// Bytes that wait for a session and from its client; none for one that is being cut.
    fn weight(&self, member: SlotRef) -> usize {
        let input = self.waiters.0.get(&member.slot).copied();
        match self.seat(member) {
            Some(seat) if !seat.refuses_frames() => seat.kept() + input.unwrap_or_default(),
            _ => 0,
        }
    }

    /// Ends a session at once; what waits for it is dropped now. So its input counts no more either, which
    /// goes when its actor ends: or others would be cut meanwhile.
    fn cut(&mut self, member: SlotRef) {
        self.request_close(member, CloseRequest::NoMemory);
        let input = self.waiters.remove(member.slot);
        self.tab.change(input, 0);
        let Some(seat) = self.seat_mut(member) else {
            return;
        };
        let outbox = seat.outbox.take();
        if let EventSink::Mailbox(mailbox) = &seat.outlet {
            mailbox.forget_events();
        }
        let lost = outbox.map_or(0, |outbox| outbox.frames());
        self.tally.refused += lost as u64;
    }
}

#[cfg(test)]
#[path = "relief_tests.rs"]
mod tests;
