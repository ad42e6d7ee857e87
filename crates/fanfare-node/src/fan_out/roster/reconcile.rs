//! After a panic: groups and sessions made to agree again.

use super::Roster;
use super::group::count;
use crate::fan_out::lane::Lane;
use crate::fan_out::slot_ref::SlotRef;
use crate::fan_out::slots::Slots;

impl Roster {
    /// Makes groups and sessions agree after a panic: entries without a live session that claims
    /// them go, sessions without their entry get it back. Answers how many differed. `poisoned`
    /// drops the batch that was being sent, if one panic has not been enough to get past it.
    pub(crate) fn reconcile(&mut self, slots: &mut Slots, poisoned: bool) -> (u64, u64) {
        let mut lost = 0;
        if poisoned
            && let Some(index) = self.busy.front()
            && let Some(group) = self.groups.get_mut(*index)
        {
            lost = group
                .lanes
                .iter_mut()
                .map(|lane| u64::from(lane.drop_front()))
                .sum();
        }
        let mut mended = 0;
        for (index, group) in self.groups.iter_mut() {
            mended += group.drop_strangers(slots, index);
        }
        let staged = self.staging.reconcile(slots);
        let lanes = self.groups.iter_mut();
        let lanes = lanes.flat_map(|(_, group)| &mut group.lanes);
        (self.waiting, self.waiting_bytes) = (0, 0);
        for lane in lanes {
            lane.cut();
            self.waiting += lane.waiting();
            self.waiting_bytes += lane.waiting_bytes();
        }
        for slot in 0..slots.capacity() {
            if let Some(member) = slots.occupant(slot) {
                mended += self.restore(slots, member);
            }
        }
        for (index, group) in self.groups.iter_mut() {
            let live = group.lanes.iter().map(Lane::len).sum();
            group.members = count(live) + staged.get(&index).copied().unwrap_or_default();
        }
        (mended, lost)
    }

    /// Gives a session the entries back that it remembers and the groups do not.
    fn restore(&mut self, slots: &mut Slots, member: SlotRef) -> u64 {
        let mut mended = 0;
        let Some(seat) = slots.seat_mut(member) else {
            return 0;
        };
        for membership in &mut seat.memberships {
            let Some(group) = self.groups.get_mut(membership.group) else {
                continue;
            };
            let Some(lane) = group.lanes.get_mut(membership.lane as usize) else {
                continue;
            };
            if lane.member_at(membership.index) != Some(member) {
                membership.index = lane.join(member);
                mended += 1;
            }
        }
        mended
    }
}
