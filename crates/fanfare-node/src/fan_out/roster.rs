//! The roster of a worker: which sessions are in which groups, and what is on its way to them.
//!
//! A pure structure, testable without a runtime. A session remembers its index in each group
//! ([`Membership`]) and a group its members by index; the two always agree, and after a panic
//! [`Roster::reconcile`] makes them agree again from the live sessions.

mod group;
mod groups;
mod reconcile;
mod staging;

use std::collections::VecDeque;
use std::rc::Rc;

use bytes::BytesMut;
use fanfare_layer::Delivery;
use fanfare_protocol::{GroupName, Outgoing, Undeliverable};

use crate::fan_out::batch::Batch;
use crate::fan_out::event_sink::DeliveryMode;
use crate::fan_out::lane::{Lane, Moved, Spare};
use crate::fan_out::shared_event::{SharedBatch, SharedEvent};
use crate::fan_out::slot_ref::{Membership, STAGED, SlotRef};
use crate::fan_out::slots::Slots;
use crate::fan_out::subscribe_options::SubscribeOptions;
use group::relocate;
use groups::Groups;
use staging::Staging;

pub(crate) use staging::Subscribed;

/// Sends of a group's turn, and between two questions whether the slice has been long enough.
const TURN: u32 = 32;

/// The groups of a worker thread, their members, and the events that are being sent to them.
#[derive(Default)]
pub(crate) struct Roster {
    groups: Groups,
    /// Groups with something to send, taking turns.
    busy: VecDeque<u32>,
    spare: Spare,
    /// Events on their way, once per lane.
    waiting: usize,
    /// Their bytes.
    waiting_bytes: usize,
    staging: Staging,
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
    /// Puts a session into a group, live at once; answers the name as the roster keeps it and
    /// whether the session was not in it before. One that was keeps its options.
    pub(crate) fn join(
        &mut self,
        slots: &mut Slots,
        member: SlotRef,
        name: &GroupName,
        options: &SubscribeOptions,
    ) -> Option<(GroupName, bool)> {
        slots.seat(member)?;
        let index = self.groups.find_or_add(name)?;
        let group = self.groups.get_mut(index)?;
        let seat = slots.seat_mut(member)?;
        let shared = group.name.clone();
        if seat.membership(index).is_some() {
            return Some((shared, false));
        }
        let lane = group.lane_of(index, options);
        let place = group.lanes.get_mut(lane as usize)?.join(member);
        group.members += 1;
        seat.memberships.push(Membership {
            group: index,
            lane,
            index: place,
            tag: options.tag,
        });
        Some((shared, true))
    }

    /// Puts a member of a group into the lane of these options.
    fn enlist(
        &mut self,
        slots: &mut Slots,
        member: SlotRef,
        place: Membership,
        options: &SubscribeOptions,
    ) -> Option<()> {
        let group = self.groups.get_mut(place.group)?;
        let lane = group.lane_of(place.group, options);
        let mut index = place.index;
        if lane != place.lane {
            if place.lane == STAGED {
                self.staging.remove(place.group, place.index);
            } else if let Some(Moved { member, index }) =
                group.lanes.get_mut(place.lane as usize)?.leave(place.index)
            {
                relocate(slots, member, place.group, index);
            }
            index = group.lanes.get_mut(lane as usize)?.join(member);
        }
        let seat = slots.seat_mut(member)?;
        let own = |own: &&mut Membership| own.group == place.group;
        let membership = seat.memberships.iter_mut().find(own)?;
        (membership.lane, membership.index, membership.tag) = (lane, index, options.tag);
        Some(())
    }

    /// Takes a session that has given up its seat out of a group; answers the group's name and
    /// whether it was the last member on this worker.
    pub(crate) fn leave(
        &mut self,
        slots: &mut Slots,
        membership: Membership,
    ) -> Option<(GroupName, bool)> {
        let group = self.groups.get_mut(membership.group)?;
        let name = group.name.clone();
        let lane = group.lanes.get_mut(membership.lane as usize);
        let moved = lane.and_then(|lane| lane.leave(membership.index));
        if membership.lane == STAGED {
            self.staging.remove(membership.group, membership.index);
        }
        group.members = group.members.saturating_sub(1);
        if let Some(Moved { member, index }) = moved {
            relocate(slots, member, membership.group, index);
        }
        let last = group.members == 0;
        if last && !group.queued {
            self.groups.forget(membership.group);
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

    /// Bytes of those events: frames, or what the events themselves keep in memory.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Takes a member out of a group by its name; as [`Self::leave`], `None` when it is not in it.
    pub(crate) fn part(
        &mut self,
        slots: &mut Slots,
        member: SlotRef,
        name: &GroupName,
    ) -> Option<(GroupName, bool)> {
        let index = self.groups.find(name)?;
        let memberships = &mut slots.seat_mut(member)?.memberships;
        let at = memberships.iter().position(|place| place.group == index)?;
        let membership = memberships.swap_remove(at);
        self.leave(slots, membership)
    }

    /// Whether a member is in a group.
    pub(crate) fn is_member(&self, slots: &Slots, member: SlotRef, name: &GroupName) -> bool {
        let index = self.groups.find(name);
        let memberships = slots.seat(member).map(|seat| &seat.memberships);
        index.zip(memberships).is_some_and(|(index, memberships)| {
            memberships.iter().any(|place| place.group == index)
        })
    }

    /// The groups of a member, in no order.
    pub(crate) fn groups_of<'a>(
        &'a self,
        slots: &'a Slots,
        member: SlotRef,
    ) -> impl Iterator<Item = &'a GroupName> {
        let memberships = slots.seat(member).map(|seat| &seat.memberships);
        let indexes = memberships.into_iter().flatten().map(|place| place.group);
        let groups = indexes.filter_map(|index| self.groups.get(index));
        groups.map(|group| &group.name)
    }

    /// The members of a group.
    pub(crate) fn members(&self, name: &GroupName) -> Vec<SlotRef> {
        let group = self
            .groups
            .find(name)
            .and_then(|index| self.groups.get(index));
        let lanes = group.map(|group| &*group.lanes).unwrap_or_default();
        let members = lanes.iter().flat_map(Lane::members);
        members.map(|(_, member)| member).collect()
    }

    /// Encodes an event once per encoder and puts it on its way to the members of a group.
    pub(crate) fn append(
        &mut self,
        slots: &mut Slots,
        name: &GroupName,
        delivery: &Delivery,
        excluded: &[SlotRef],
    ) -> Dropped {
        let mut dropped = Dropped::default();
        let index = self.groups.find(name).unwrap_or(u32::MAX);
        let Some(group) = self.groups.get_mut(index) else {
            dropped.no_members = 1;
            return dropped;
        };
        if !self.staging.is_empty() {
            self.staging.append(slots, index, delivery, excluded);
        }
        let close = delivery.envelope.close.clone().map(Rc::new);
        for lane in &mut group.lanes {
            if lane.len() == 0 {
                continue;
            }
            if let Some(close) = &close {
                lane.append_close(delivery, close, excluded);
            } else {
                match lane.append(delivery, excluded, &mut self.spare) {
                    Ok(bytes) => self.waiting_bytes += bytes,
                    Err(why) => {
                        dropped.count(why);
                        continue;
                    }
                }
            }
            self.waiting += 1;
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
            let Some(group) = self.groups.get_mut(index) else {
                self.busy.pop_front();
                continue;
            };
            group.run(slots, &mut budget, |batch| {
                done(&batch);
                self.waiting = self.waiting.saturating_sub(batch.events() as usize);
                self.waiting_bytes = self.waiting_bytes.saturating_sub(batch.bytes());
                self.spare.keep(batch);
            });
            let (idle, empty) = (group.is_idle(), group.members == 0);
            group.tidy(slots, index, &mut self.spare);
            self.busy.pop_front();
            if !idle {
                self.busy.push_back(index);
                continue;
            }
            group.queued = false;
            if empty {
                self.groups.forget(index);
            }
        }
    }

    /// Sends a session everything that is on its way to it, so that something may follow in order.
    pub(crate) fn flush_in_flight(&mut self, slots: &mut Slots, member: SlotRef) {
        if !self.is_busy() {
            return;
        }
        let Some(seat) = slots.seat(member) else {
            return;
        };
        let memberships = seat.memberships.clone();
        for place in memberships {
            self.flush_lane(slots, member, place);
        }
    }

    /// Sends a session what is on its way to it from one group.
    fn flush_lane(&mut self, slots: &mut Slots, member: SlotRef, place: Membership) {
        if let Some(group) = self.groups.get_mut(place.group)
            && let Some(lane) = group.lanes.get_mut(place.lane as usize)
        {
            lane.flush_in_flight(slots, member, place.index);
        }
    }

    /// Sends one session an event that is for it alone, behind what is on its way to it.
    pub(crate) fn send_to_one(
        &mut self,
        slots: &mut Slots,
        member: SlotRef,
        delivery: &Delivery,
    ) -> Result<(), Undeliverable> {
        let Some(seat) = slots.seat(member) else {
            return Ok(());
        };
        let mail = || Rc::new(SharedEvent::new(delivery));
        if let Some(close) = &delivery.envelope.close {
            self.flush_in_flight(slots, member);
            slots.kick(member, &mail(), &Rc::new(close.clone()));
            return Ok(());
        }
        match seat.mode {
            DeliveryMode::Frames => {
                let mut frames = BytesMut::new();
                let message = Outgoing::of(&delivery.target, &delivery.envelope);
                seat.encoder.encode(&message, &mut frames)?;
                self.flush_in_flight(slots, member);
                slots.send(member, &frames.freeze(), 1);
            }
            DeliveryMode::Events => {
                self.flush_in_flight(slots, member);
                slots.post(member, &SharedBatch::new(vec![mail()], None));
            }
        }
        Ok(())
    }

    /// The name of a group as it is kept here.
    pub(crate) fn name_of(&self, name: &GroupName) -> Option<&GroupName> {
        let group = self.groups.get(self.groups.find(name)?)?;
        Some(&group.name)
    }
}

#[cfg(test)]
mod tests;
