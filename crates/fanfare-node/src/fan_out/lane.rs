//! A lane: the members of one group that get events the same way, and the batches on their way.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use bytes::BytesMut;
use fanfare_layer::Delivery;
use fanfare_protocol::{Close, Encoder, Outgoing, Undeliverable};
use smallvec::SmallVec;

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
    /// Members by index; [`GONE`] where somebody left while batches were on their way. Groups of one
    /// are the most frequent: every user has one.
    members: SmallVec<[SlotRef; 1]>,
    holes: u32,
    /// `None` in most lanes at most times.
    traffic: Option<Box<Traffic>>,
}

/// What is on its way in a lane.
#[derive(Default)]
struct Traffic {
    open: OpenBatch,
    queue: VecDeque<Batch>,
}

/// Memory of what has been sent, for the next events.
#[derive(Default)]
pub(crate) struct Spare {
    frames: BytesMut,
    #[expect(clippy::vec_box, reason = "a lane takes a box as it is")]
    traffic: Vec<Box<Traffic>>,
}

/// Bytes of a batch that take about as long to send as a small one.
const LARGE: usize = 16 * 1024;
/// Lanes whose memory is kept for others.
const SPARE_LANES: usize = 64;
/// Batches that the memory of one of them has room for.
const SPARE_BATCHES: usize = 8;

impl Spare {
    /// A batch has been sent.
    pub(crate) fn keep(&mut self, batch: Batch) {
        if let Some(buffer) = batch.into_buffer() {
            self.frames = buffer;
        }
    }
}

impl Traffic {
    fn is_idle(&self) -> bool {
        self.open.is_empty() && self.queue.is_empty()
    }

    /// Closes the open batch of the group with this index, for so many members.
    fn seal(&mut self, group: u32, members: usize) {
        if !self.open.is_empty() {
            self.queue.push_back(self.open.seal(group, members));
        }
    }
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
            members: SmallVec::new(),
            holes: 0,
            traffic: None,
        }
    }

    /// Whether members with these options are in this lane; their tags may differ.
    pub(crate) fn is_for(&self, options: &SubscribeOptions) -> bool {
        self.mode == options.mode && Arc::ptr_eq(&self.encoder, &options.encoder)
    }

    /// Puts an event into the open batch, for all but those who are excluded; answers the bytes
    /// that it adds.
    pub(crate) fn append(
        &mut self,
        delivery: &Delivery,
        excluded: &[SlotRef],
        spare: &mut Spare,
    ) -> Result<usize, Undeliverable> {
        let used = || spare.traffic.pop().unwrap_or_default();
        let traffic = self.traffic.get_or_insert_with(used);
        let open = &mut traffic.open;
        let bytes = match self.mode {
            DeliveryMode::Frames => {
                let frames = &mut open.frames;
                if frames.capacity() == 0 {
                    *frames = std::mem::take(&mut spare.frames);
                }
                let start = frames.len();
                let message = Outgoing::of(&delivery.target, &delivery.envelope);
                self.encoder.encode(&message, frames)?;
                let bytes = frames.len() - start;
                open.mark(start, delivery.arrived);
                bytes
            }
            DeliveryMode::Events => {
                let event = SharedEvent::new(delivery);
                let bytes = event.bytes();
                open.push(Rc::new(event), delivery.arrived);
                bytes
            }
        };
        for member in excluded {
            open.skip_last(*member);
        }
        if open.is_full() {
            traffic.seal(self.group, self.members.len());
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
        let Traffic { open, queue } = &mut **self.traffic.get_or_insert_default();
        let mail = SharedEvent::new(delivery);
        open.push(Rc::new(mail), delivery.arrived);
        for member in excluded {
            open.skip_last(*member);
        }
        let members = self.members.len();
        queue.extend(open.seal_close(self.group, members, Rc::clone(close)));
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len() - self.holes as usize
    }

    fn batches(&self) -> impl Iterator<Item = &Batch> {
        self.traffic.iter().flat_map(|traffic| &traffic.queue)
    }

    /// Events in the batches that are open or on their way.
    pub(crate) fn waiting(&self) -> usize {
        let open = self.traffic.as_ref().map(|traffic| traffic.open.events());
        let queued = self.batches().map(|batch| batch.events() as usize);
        open.unwrap_or_default() + queued.sum::<usize>()
    }

    /// Bytes of the batches that are open or on their way.
    pub(crate) fn waiting_bytes(&self) -> usize {
        let open = self.traffic.as_ref().map(|traffic| traffic.open.bytes());
        open.unwrap_or_default() + self.batches().map(Batch::bytes).sum::<usize>()
    }

    /// Nobody is in the lane and nothing is on its way in it.
    pub(crate) fn is_unused(&self) -> bool {
        self.len() == 0 && self.is_idle()
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.traffic
            .as_ref()
            .is_none_or(|traffic| traffic.is_idle())
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
        if let Some(traffic) = &mut self.traffic {
            traffic.seal(self.group, self.members.len());
        }
    }

    /// Drops what the encoder wrote of an event before it panicked.
    pub(crate) fn cut(&mut self) {
        if let Some(traffic) = &mut self.traffic {
            traffic.open.cut();
        }
    }

    /// Drops the batch in front, for one that cannot be delivered; answers how many events it had.
    pub(crate) fn drop_front(&mut self) -> u32 {
        let front = self
            .traffic
            .as_mut()
            .and_then(|traffic| traffic.queue.pop_front());
        front.map_or(0, |batch| batch.events())
    }

    /// Serves members until `budget` sends are spent, of which one of large frames counts as several;
    /// answers a batch that reached its end.
    pub(crate) fn run(&mut self, slots: &mut Slots, budget: &mut u32) -> Option<Batch> {
        let traffic = self.traffic.as_mut()?;
        let members = self.members.as_slice();
        traffic.seal(self.group, members.len());
        let batch = traffic.queue.front_mut()?;
        let cost = match self.mode {
            DeliveryMode::Frames => {
                1 + u32::try_from(batch.bytes() / LARGE).unwrap_or(u32::MAX - 1)
            }
            // Members share the events, whatever their size.
            DeliveryMode::Events => 1,
        };
        while batch.cursor < batch.end {
            if *budget == 0 {
                return None;
            }
            let member = members.get(batch.cursor as usize).copied().unwrap_or(GONE);
            batch.cursor += 1;
            *budget = budget.saturating_sub(cost);
            batch.serve(slots, member);
        }
        traffic.queue.pop_front()
    }

    /// Sends a member now what is on its way to it, so that something may follow in order.
    pub(crate) fn flush_in_flight(&mut self, slots: &mut Slots, member: SlotRef, index: u32) {
        self.seal();
        for batch in self.traffic.iter_mut().flat_map(|it| &mut it.queue) {
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
        let few = self.holes as usize * 2 < self.members.len();
        if self.holes == 0 || (few && !self.is_idle()) {
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
        for batch in self.traffic.iter_mut().flat_map(|it| &mut it.queue) {
            batch.cursor = before(&self.members, batch.cursor);
            batch.end = before(&self.members, batch.end);
        }
        self.members.retain(|member| *member != GONE);
        self.holes = 0;
        true
    }

    /// Gives the memory for what is on its way to other lanes, when nothing is.
    pub(crate) fn rest(&mut self, spare: &mut Spare) {
        if self.is_idle()
            && let Some(traffic) = self.traffic.take()
            && spare.traffic.len() < SPARE_LANES
            && traffic.queue.capacity() <= SPARE_BATCHES
        {
            spare.traffic.push(traffic);
        }
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

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use fanfare_protocol::{DeliverTable, Envelope, Event, GroupName, RouteEncoder, Target};

    use super::*;
    use crate::fan_out::Tab;
    use crate::fan_out::slot_ref::Bounds;

    const MEMBERS: u32 = 32;

    /// Whether as many sends as there are members serve all of them with a large event.
    fn is_done_in_one_go(mode: DeliveryMode) -> bool {
        let bounds = Bounds {
            bytes: 1 << 20,
            frames: 1 << 10,
        };
        let mut slots = Slots::new(bounds, 0, Tab::unlimited());
        let options = SubscribeOptions {
            encoder: Arc::new(RouteEncoder(DeliverTable::default())),
            mode,
            tag: 0,
        };
        let mut lane = Lane::new(0, &options);
        for slot in 0..MEMBERS {
            lane.join(SlotRef { slot, ..GONE });
        }
        let event = Event::new("large").with("text", "x".repeat(4 * LARGE));
        let group = GroupName::parse("group").expect("a legal name");
        let delivery = Delivery {
            target: Target::Group(group),
            envelope: Arc::new(Envelope::new(event)),
            arrived: Instant::now(),
        };
        let appended = lane.append(&delivery, &[], &mut Spare::default());
        assert!(appended.is_ok_and(|bytes| bytes > 4 * LARGE));
        lane.run(&mut slots, &mut MEMBERS.clone()).is_some()
    }

    #[test]
    fn large_frames_count_as_several_sends_and_shared_events_as_one() {
        assert!(!is_done_in_one_go(DeliveryMode::Frames));
        assert!(is_done_in_one_go(DeliveryMode::Events));
    }
}
