//! One group of a roster: its lanes and how many members they have together.

use fanfare_protocol::GroupName;
use smallvec::SmallVec;

use crate::fan_out::batch::Batch;
use crate::fan_out::lane::{Lane, Spare};
use crate::fan_out::slot_ref::SlotRef;
use crate::fan_out::slots::Slots;
use crate::fan_out::subscribe_options::SubscribeOptions;

/// A group with its lanes.
pub(super) struct Group {
    pub(super) name: GroupName,
    pub(super) lanes: SmallVec<[Lane; 1]>,
    pub(super) members: u32,
    /// In the queue of groups that have something to send.
    pub(super) queued: bool,
}

impl Group {
    pub(super) fn new(name: GroupName) -> Self {
        Self {
            name,
            lanes: SmallVec::new(),
            members: 0,
            queued: false,
        }
    }

    /// The lane of members with these options; made if there is none. `group` is the group's index.
    pub(super) fn lane_of(&mut self, group: u32, options: &SubscribeOptions) -> u32 {
        let own = |lane: &Lane| lane.is_for(options);
        let index = self.lanes.iter().position(own).unwrap_or_else(|| {
            let unused = self.lanes.iter_mut().enumerate();
            let mut unused = unused.filter(|(_, lane)| lane.is_unused());
            if let Some((index, lane)) = unused.next() {
                *lane = Lane::new(group, options);
                return index;
            }
            self.lanes.push(Lane::new(group, options));
            self.lanes.len() - 1
        });
        u32::try_from(index).unwrap_or(u32::MAX)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.lanes.iter().all(Lane::is_idle)
    }

    pub(super) fn run(&mut self, slots: &mut Slots, budget: &mut u32, mut done: impl FnMut(Batch)) {
        for lane in &mut self.lanes {
            if let Some(batch) = lane.run(slots, budget) {
                done(batch);
            }
        }
    }

    /// Closes the holes that members left, once they are worth it, and gives memory back.
    pub(super) fn tidy(&mut self, slots: &mut Slots, group: u32, spare: &mut Spare) {
        for lane in &mut self.lanes {
            lane.rest(spare);
            if lane.compact() {
                for (index, member) in lane.members() {
                    relocate(slots, member, group, index);
                }
            }
        }
    }

    pub(super) fn drop_strangers(&mut self, slots: &Slots, group: u32) -> u64 {
        let mut dropped = 0;
        for (at, lane) in (0u32..).zip(&mut self.lanes) {
            lane.retain(|index, member| {
                let seat = slots.seat(member);
                let claim = seat.and_then(|seat| seat.membership(group));
                let kept = claim.is_some_and(|place| place.lane == at && place.index == index);
                dropped += u64::from(!kept);
                kept
            });
        }
        self.members = count(self.lanes.iter().map(Lane::len).sum());
        dropped
    }
}

/// Members as a group counts them: a worker has 2^24 slots at most.
pub(super) fn count(members: usize) -> u32 {
    u32::try_from(members).unwrap_or(u32::MAX)
}

/// Tells a member that it stands at another index now.
pub(super) fn relocate(slots: &mut Slots, member: SlotRef, group: u32, index: u32) {
    if let Some(seat) = slots.seat_mut(member)
        && let Some(membership) = seat
            .memberships
            .iter_mut()
            .find(|place| place.group == group)
    {
        membership.index = index;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_of_one_member_keeps_little() {
        assert!(size_of::<Group>() <= 96, "{} bytes", size_of::<Group>());
    }
}
