//! The roster of a worker: which sessions are in which groups, and what is on its way to them.
//!
//! A pure structure, testable without a runtime. A session remembers its index in each group
//! ([`Membership`]) and a group its members by index; the two always agree, and after a panic
//! [`Roster::reconcile`] makes them agree again from the live sessions.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::BytesMut;
use fanfare_layer::Delivery;
use fanfare_protocol::{GroupName, Plan, Undeliverable};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::batch::Batch;
use crate::lane::{Lane, Moved};
use crate::slots::{Member, Membership, Slots};

/// Sends of a group's turn, and between two questions whether the slice has been long enough.
const TURN: u32 = 32;

struct Group {
    name: GroupName,
    lanes: SmallVec<[Lane; 1]>,
    members: usize,
    /// In the queue of groups that have something to send.
    queued: bool,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Roster {
    by_name: FxHashMap<GroupName, u32>,
    groups: Vec<Option<Box<Group>>>,
    free: Vec<u32>,
    /// Groups with something to send, taking turns.
    busy: VecDeque<u32>,
    /// The memory of the last batch, for the next one.
    spare: BytesMut,
    /// Events on their way, once per lane.
    waiting: usize,
}

/// What happened to an event, for the counters.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dropped {
    /// Nobody here is in the group any more.
    pub(crate) no_members: u64,
    pub(crate) field_missing: u64,
    pub(crate) unknown_type: u64,
}

impl Dropped {
    fn count(&mut self, why: Undeliverable) {
        match why {
            Undeliverable::FieldMissing => self.field_missing += 1,
            Undeliverable::UnknownType => self.unknown_type += 1,
        }
    }
}

impl Roster {
    /// Puts a session into a group; answers the name as the roster keeps it and whether the
    /// session was not in it before.
    pub(crate) fn join(
        &mut self,
        slots: &mut Slots,
        member: Member,
        name: &GroupName,
    ) -> Option<(GroupName, bool)> {
        let index = self.group_index(name)?;
        let group = self.groups.get_mut(index as usize)?.as_deref_mut()?;
        let seat = slots.seat_mut(member)?;
        let shared = group.name.clone();
        if seat
            .memberships
            .iter()
            .any(|membership| membership.group == index)
        {
            return Some((shared, false));
        }
        let lane = group.lane_of(&seat.plan);
        let place = group.lanes.get_mut(lane as usize)?.join(member);
        group.members += 1;
        seat.memberships.push(Membership {
            group: index,
            lane,
            index: place,
        });
        Some((shared, true))
    }

    /// Takes a session that has given up its seat out of a group; answers the group's name and
    /// whether it was the last member on this worker.
    pub(crate) fn leave(
        &mut self,
        slots: &mut Slots,
        membership: Membership,
    ) -> Option<(GroupName, bool)> {
        let group = self
            .groups
            .get_mut(membership.group as usize)?
            .as_deref_mut()?;
        let name = group.name.clone();
        let moved = group
            .lanes
            .get_mut(membership.lane as usize)?
            .leave(membership.index);
        group.members = group.members.saturating_sub(1);
        if let Some(Moved { member, index }) = moved {
            relocate(slots, member, membership.group, index);
        }
        let last = group.members == 0;
        if last && !group.queued {
            self.forget(membership.group);
        }
        Some((name, last))
    }

    /// Whether something waits to be sent.
    pub(crate) fn is_busy(&self) -> bool {
        !self.busy.is_empty()
    }

    /// Events on their way, once per lane: what bounds the memory of a fan-out that lags.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Encodes an event once per plan and puts it on its way to the members of a group.
    pub(crate) fn append(
        &mut self,
        name: &GroupName,
        delivery: &Delivery,
        excluded: &[Member],
    ) -> Dropped {
        let mut dropped = Dropped::default();
        let Some(&index) = self.by_name.get(name) else {
            dropped.no_members = 1;
            return dropped;
        };
        let Some(group) = self
            .groups
            .get_mut(index as usize)
            .and_then(Option::as_deref_mut)
        else {
            dropped.no_members = 1;
            return dropped;
        };
        for lane in &mut group.lanes {
            if lane.len() == 0 {
                continue;
            }
            if lane.open.frames.capacity() == 0 {
                lane.open.frames = std::mem::take(&mut self.spare);
            }
            let start = lane.open.frames.len();
            if let Err(why) = lane
                .plan
                .encode(&delivery.envelope.event, &mut lane.open.frames)
            {
                dropped.count(why);
                continue;
            }
            lane.open.mark(start, delivery.arrived);
            self.waiting += 1;
            for member in excluded {
                lane.open.skip_last(*member);
            }
            if lane.open.is_full() {
                lane.seal();
            }
            if !group.queued {
                group.queued = true;
                self.busy.push_back(index);
            }
        }
        dropped
    }

    /// One slice of fan-out: groups take turns until it is `enough` or nothing waits. `done` sees
    /// every batch that reached its last member.
    pub(crate) fn slice(
        &mut self,
        slots: &mut Slots,
        mut enough: impl FnMut() -> bool,
        mut done: impl FnMut(&Batch),
    ) {
        let mut budget = TURN;
        while let Some(&index) = self.busy.front() {
            if budget == 0 {
                if enough() {
                    return;
                }
                budget = TURN;
            }
            let Some(group) = self
                .groups
                .get_mut(index as usize)
                .and_then(Option::as_deref_mut)
            else {
                self.busy.pop_front();
                continue;
            };
            group.run(slots, &mut budget, |batch| {
                done(&batch);
                self.waiting = self.waiting.saturating_sub(batch.events() as usize);
                if let Some(buffer) = batch.into_buffer() {
                    self.spare = buffer;
                }
            });
            let (idle, empty) = (group.is_idle(), group.members == 0);
            group.tidy(slots, index);
            self.busy.pop_front();
            if !idle {
                self.busy.push_back(index);
                continue;
            }
            group.queued = false;
            if empty {
                self.forget(index);
            }
        }
    }

    /// Sends a session everything that is on its way to it, so that something may follow in order.
    pub(crate) fn settle(&mut self, slots: &mut Slots, member: Member) {
        if !self.is_busy() {
            return;
        }
        let Some(seat) = slots.seat(member) else {
            return;
        };
        let memberships = seat.memberships.clone();
        for Membership { group, lane, index } in memberships {
            if let Some(group) = self
                .groups
                .get_mut(group as usize)
                .and_then(Option::as_deref_mut)
                && let Some(lane) = group.lanes.get_mut(lane as usize)
            {
                lane.settle(slots, member, index);
            }
        }
    }

    /// Sends one session an event that is for it alone, behind what is on its way to it.
    pub(crate) fn direct(
        &mut self,
        slots: &mut Slots,
        member: Member,
        delivery: &Delivery,
    ) -> Result<(), Undeliverable> {
        let Some(plan) = slots.seat(member).map(|seat| Arc::clone(&seat.plan)) else {
            return Ok(());
        };
        let mut frames = BytesMut::new();
        plan.encode(&delivery.envelope.event, &mut frames)?;
        self.settle(slots, member);
        slots.send(member, &frames.freeze(), 1);
        Ok(())
    }

    /// Makes groups and sessions agree after a panic: entries without a live session that claims
    /// them go, sessions without their entry get it back. Answers how many differed. `poisoned`
    /// drops the batch that was being sent, if one panic has not been enough to get past it.
    pub(crate) fn reconcile(&mut self, slots: &mut Slots, poisoned: bool) -> (u64, u64) {
        let mut lost = 0;
        if poisoned
            && let Some(index) = self.busy.front()
            && let Some(group) = self
                .groups
                .get_mut(*index as usize)
                .and_then(Option::as_deref_mut)
        {
            lost = group
                .lanes
                .iter_mut()
                .map(|lane| u64::from(lane.drop_front()))
                .sum();
        }
        let mut mended = 0;
        for (index, group) in (0u32..).zip(&mut self.groups) {
            let Some(group) = group.as_deref_mut() else {
                continue;
            };
            mended += group.drop_strangers(slots, index);
        }
        let lanes = self.groups.iter_mut().flatten();
        let lanes = lanes.flat_map(|group| &mut group.lanes);
        self.waiting = lanes
            .map(|lane| {
                lane.open.cut();
                lane.waiting()
            })
            .sum();
        for slot in 0..slots.capacity() {
            if let Some(member) = slots.occupant(slot) {
                mended += self.restore(slots, member);
            }
        }
        (mended, lost)
    }

    /// Gives a session the entries back that it remembers and the groups do not.
    fn restore(&mut self, slots: &mut Slots, member: Member) -> u64 {
        let mut mended = 0;
        let Some(seat) = slots.seat_mut(member) else {
            return 0;
        };
        for membership in &mut seat.memberships {
            let Some(group) = self
                .groups
                .get_mut(membership.group as usize)
                .and_then(Option::as_deref_mut)
            else {
                continue;
            };
            let Some(lane) = group.lanes.get_mut(membership.lane as usize) else {
                continue;
            };
            if lane.member_at(membership.index) != Some(member) {
                membership.index = lane.join(member);
                mended += 1;
            }
            group.members = group.lanes.iter().map(Lane::len).sum();
        }
        mended
    }

    fn group_index(&mut self, name: &GroupName) -> Option<u32> {
        if let Some(index) = self.by_name.get(name) {
            return Some(*index);
        }
        let group = Group {
            name: name.clone(),
            lanes: SmallVec::new(),
            members: 0,
            queued: false,
        };
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                self.groups.push(None);
                u32::try_from(self.groups.len() - 1).ok()?
            }
        };
        *self.groups.get_mut(index as usize)? = Some(Box::new(group));
        self.by_name.insert(name.clone(), index);
        Some(index)
    }

    fn forget(&mut self, index: u32) {
        if let Some(group) = self.groups.get_mut(index as usize).and_then(Option::take) {
            self.by_name.remove(&group.name);
            self.free.push(index);
        }
    }
}

impl Group {
    fn lane_of(&mut self, plan: &Arc<dyn Plan>) -> u32 {
        let own = |lane: &Lane| Arc::ptr_eq(&lane.plan, plan);
        let index = self.lanes.iter().position(own).unwrap_or_else(|| {
            let unused = self.lanes.iter_mut().enumerate();
            let mut unused = unused.filter(|(_, lane)| lane.is_unused());
            if let Some((index, lane)) = unused.next() {
                *lane = Lane::new(Arc::clone(plan));
                return index;
            }
            self.lanes.push(Lane::new(Arc::clone(plan)));
            self.lanes.len() - 1
        });
        u32::try_from(index).unwrap_or(u32::MAX)
    }

    fn is_idle(&self) -> bool {
        self.lanes.iter().all(Lane::is_idle)
    }

    fn run(&mut self, slots: &mut Slots, budget: &mut u32, mut done: impl FnMut(Batch)) {
        for lane in &mut self.lanes {
            if let Some(batch) = lane.run(slots, budget) {
                done(batch);
            }
        }
    }

    /// Closes the holes that members left, once they are worth it.
    fn tidy(&mut self, slots: &mut Slots, group: u32) {
        for lane in &mut self.lanes {
            if lane.compact() {
                for (index, member) in lane.members() {
                    relocate(slots, member, group, index);
                }
            }
        }
    }

    fn drop_strangers(&mut self, slots: &Slots, group: u32) -> u64 {
        let mut dropped = 0;
        for (at, lane) in (0u32..).zip(&mut self.lanes) {
            lane.retain(|index, member| {
                let claim = Membership {
                    group,
                    lane: at,
                    index,
                };
                let kept = slots
                    .seat(member)
                    .is_some_and(|seat| seat.memberships.contains(&claim));
                dropped += u64::from(!kept);
                kept
            });
        }
        self.members = self.lanes.iter().map(Lane::len).sum();
        dropped
    }
}

fn relocate(slots: &mut Slots, member: Member, group: u32, index: u32) {
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
mod tests;
