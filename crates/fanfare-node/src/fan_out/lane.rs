//! A lane: the members of one group that get events the same way, and the batches on their way.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use bytes::BytesMut;
use fanfare_layer::Delivery;
use fanfare_protocol::{Close, Encoder, Outgoing, Undeliverable};

use super::batch::{Batch, OpenBatch};
use super::event_sink::DeliveryMode;
use super::shared_event::SharedEvent;
use super::slot_ref::SlotRef;
use super::slots::Slots;
use super::subscribe_options::SubscribeOptions;

/// The entry of a member that left: no slot has this index.
const GONE: SlotRef = SlotRef {
    fd: -1,
    slot: u32::MAX,
    word: 1,
};

/// The members of one group that share an encoder and a mode, and what is on its way to them.
pub(crate) struct Lane {
    /// The index of its group.
    group: u32,
    encoder: Arc<dyn Encoder>,
    mode: DeliveryMode,
    /// Members by index; [`GONE`] where somebody left while batches were on their way.
    members: Vec<SlotRef>,
    holes: usize,
    pub(crate) open: OpenBatch,
    queue: VecDeque<Batch>,
}

/// A member that another's leaving has moved to a new index.
pub(crate) struct Moved {
    pub(crate) member: SlotRef,
    pub(crate) index: u32,
}

impl Lane {
    pub(crate) fn new(group: u32, options: &SubscribeOptions) -> Self {
        Self {
            group,
            encoder: Arc::clone(&options.encoder),
            mode: options.mode,
            members: Vec::new(),
            holes: 0,
            open: OpenBatch::default(),
            queue: VecDeque::new(),
        }
    }

    /// Whether members with these options are in this lane; their tags may differ.
    pub(crate) fn is_for(&self, options: &SubscribeOptions) -> bool {
        self.mode == options.mode && Arc::ptr_eq(&self.encoder, &options.encoder)
    }

    /// Puts an event into the open batch, for all but those who are excluded; answers the bytes
    /// that it adds. `spare` is memory for a new batch of frames.
    pub(crate) fn append(
        &mut self,
        delivery: &Delivery,
        excluded: &[SlotRef],
        spare: &mut BytesMut,
    ) -> Result<usize, Undeliverable> {
        let bytes = match self.mode {
            DeliveryMode::Frames => {
                let frames = &mut self.open.frames;
                if frames.capacity() == 0 {
                    *frames = std::mem::take(spare);
                }
                let start = frames.len();
                let message = Outgoing::of(&delivery.target, &delivery.envelope);
                self.encoder.encode(&message, frames)?;
                let bytes = frames.len() - start;
                self.open.mark(start, delivery.arrived);
                bytes
            }
            DeliveryMode::Events => {
                let event = SharedEvent::new(delivery);
                let bytes = event.bytes();
                self.open.push(Rc::new(event), delivery.arrived);
                bytes
            }
        };
        for member in excluded {
            self.open.skip_last(*member);
        }
        if self.open.is_full() {
            self.seal();
        }
        Ok(bytes)
    }

    /// Puts the end of the members' sessions behind everything that is on its way to them.
    pub(crate) fn append_close(
        &mut self,
        delivery: &Delivery,
        close: &Rc<Close>,
        excluded: &[SlotRef],
    ) {
        self.seal();
        let mail = SharedEvent::new(delivery);
        self.open.push(Rc::new(mail), delivery.arrived);
        for member in excluded {
            self.open.skip_last(*member);
        }
        let members = self.members.len();
        self.queue
            .extend(self.open.seal_close(self.group, members, Rc::clone(close)));
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len() - self.holes
    }

    /// Events in the batches that are open or on their way.
    pub(crate) fn waiting(&self) -> usize {
        let queued = self.queue.iter().map(|batch| batch.events() as usize);
        self.open.events() + queued.sum::<usize>()
    }

    /// Bytes of the batches that are open or on their way.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.open.bytes() + self.queue.iter().map(Batch::bytes).sum::<usize>()
    }

    /// Nobody is in the lane and nothing is on its way in it.
    pub(crate) fn is_unused(&self) -> bool {
        self.len() == 0 && self.is_idle()
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.open.is_empty() && self.queue.is_empty()
    }

    pub(crate) fn member_at(&self, index: u32) -> Option<SlotRef> {
        self.members
            .get(index as usize)
            .copied()
            .filter(|member| *member != GONE)
    }

    /// Adds a member behind everything that is on its way; answers its index.
    pub(crate) fn join(&mut self, member: SlotRef) -> u32 {
        self.seal();
        self.members.push(member);
        u32::try_from(self.members.len() - 1).unwrap_or(u32::MAX)
    }

    /// Takes the member at `index` out. In a busy lane it leaves a hole, because batches on their
    /// way count by index; in an idle one the last member moves into its place.
    pub(crate) fn leave(&mut self, index: u32) -> Option<Moved> {
        let index = index as usize;
        if self.is_idle() {
            if index >= self.members.len() {
                return None;
            }
            self.members.swap_remove(index);
            let member = *self.members.get(index)?;
            return Some(Moved {
                member,
                index: u32::try_from(index).ok()?,
            });
        }
        if let Some(entry) = self.members.get_mut(index)
            && std::mem::replace(entry, GONE) != GONE
        {
            self.holes += 1;
        }
        None
    }

    /// Closes the open batch and puts it on its way.
    pub(crate) fn seal(&mut self) {
        if !self.open.is_empty() {
            self.queue
                .push_back(self.open.seal(self.group, self.members.len()));
        }
    }

    /// Drops the batch in front, for one that cannot be delivered; answers how many events it had.
    pub(crate) fn drop_front(&mut self) -> u32 {
        self.queue.pop_front().map_or(0, |batch| batch.events())
    }

    /// Serves members until `budget` sends are spent; answers a batch that reached its end.
    pub(crate) fn run(&mut self, slots: &mut Slots, budget: &mut u32) -> Option<Batch> {
        self.seal();
        let batch = self.queue.front_mut()?;
        while batch.cursor < batch.end {
            if *budget == 0 {
                return None;
            }
            let member = self
                .members
                .get(batch.cursor as usize)
                .copied()
                .unwrap_or(GONE);
            batch.cursor += 1;
            *budget -= 1;
            batch.serve(slots, member);
        }
        self.queue.pop_front()
    }

    /// Sends a member now what is on its way to it, so that something may follow in order.
    pub(crate) fn flush_in_flight(&mut self, slots: &mut Slots, member: SlotRef, index: u32) {
        self.seal();
        for batch in &mut self.queue {
            if !batch.is_ahead(index) {
                continue;
            }
            batch.serve(slots, member);
            batch.served(member);
        }
    }

    /// Closes holes when they are many; answers whether members have moved. Batches on their way
    /// keep their place.
    pub(crate) fn compact(&mut self) -> bool {
        if self.holes == 0 || (self.holes * 2 < self.members.len() && !self.is_idle()) {
            return false;
        }
        let before = |members: &[SlotRef], index: u32| {
            let taken = members
                .iter()
                .take(index as usize)
                .filter(|m| **m != GONE)
                .count();
            u32::try_from(taken).unwrap_or(u32::MAX)
        };
        for batch in &mut self.queue {
            batch.cursor = before(&self.members, batch.cursor);
            batch.end = before(&self.members, batch.end);
        }
        self.members.retain(|member| *member != GONE);
        self.holes = 0;
        true
    }

    /// All members with their indexes.
    pub(crate) fn members(&self) -> impl Iterator<Item = (u32, SlotRef)> + '_ {
        (0u32..)
            .zip(self.members.iter().copied())
            .filter(|(_, member)| *member != GONE)
    }

    /// Empties the entries that `keep` refuses.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(u32, SlotRef) -> bool) {
        for (index, entry) in (0u32..).zip(&mut self.members) {
            if *entry != GONE && !keep(index, *entry) {
                *entry = GONE;
                self.holes += 1;
            }
        }
    }
}
