//! Subscriptions that are not live yet: what arrives for them waits here.

use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use fanfare_layer::Delivery;
use fanfare_protocol::{GroupName, NameMap, Position};

use super::group::count;
use super::{Dropped, Roster};
use crate::fan_out::FanOut;
use crate::fan_out::event_sink::DeliveryMode;
use crate::fan_out::seat::CloseRequest;
use crate::fan_out::shared_event::{SharedBatch, SharedEvent};
use crate::fan_out::slot_ref::{Membership, STAGED, SlotRef};
use crate::fan_out::slots::Slots;
use crate::fan_out::subscribe_options::SubscribeOptions;
use crate::fan_out::tab::TabCharge;

/// One subscription that is not live yet.
struct Staged {
    id: u32,
    member: SlotRef,
    /// Those who may still make it live.
    holders: u32,
    events: Vec<Rc<SharedEvent>>,
    bytes: usize,
    /// Of these bytes; `None` while nothing is staged.
    charge: Option<TabCharge>,
}

/// The subscriptions of a roster that are not live yet.
#[derive(Default)]
pub(super) struct Staging {
    by_group: NameMap<u32, Vec<Staged>>,
    next: u32,
}

/// A session that has been put into a group without getting its events yet.
#[cfg_attr(test, derive(Clone))]
pub(crate) struct Subscribed {
    /// The name as the roster keeps it.
    pub(crate) group: GroupName,
    /// Whether the session was not in the group before.
    pub(crate) new: bool,
    /// The number of what is staged; `None` when the subscription is live already.
    pub(crate) stage: Option<u32>,
}

impl Staging {
    pub(super) fn is_empty(&self) -> bool {
        self.by_group.is_empty()
    }

    fn add(&mut self, group: u32, member: SlotRef) -> u32 {
        self.next = self.next.wrapping_add(1);
        self.by_group.entry(group).or_default().push(Staged {
            id: self.next,
            member,
            holders: 1,
            events: Vec::new(),
            bytes: 0,
            charge: None,
        });
        self.next
    }

    fn find(&mut self, group: u32, id: u32) -> Option<&mut Staged> {
        let of_group = self.by_group.get_mut(&group)?;
        of_group.iter_mut().find(|staged| staged.id == id)
    }

    pub(super) fn remove(&mut self, group: u32, id: u32) {
        if let Some(of_group) = self.by_group.get_mut(&group) {
            of_group.retain(|staged| staged.id != id);
            if of_group.is_empty() {
                self.by_group.remove(&group);
            }
        }
    }

    /// Keeps an event for the subscriptions of a group. One that is over the bound of an outbox
    /// ends its session, as a client that reads too slowly does.
    #[cold]
    pub(super) fn append(
        &mut self,
        slots: &mut Slots,
        group: u32,
        delivery: &Delivery,
        excluded: &[SlotRef],
    ) {
        let Some(of_group) = self.by_group.get_mut(&group) else {
            return;
        };
        let event = Rc::new(SharedEvent::new(delivery));
        let bounds = slots.bounds();
        for staged in of_group {
            if excluded.contains(&staged.member) {
                continue;
            }
            staged.events.push(Rc::clone(&event));
            staged.bytes += event.bytes();
            let charge = staged.charge.get_or_insert_with(|| slots.tab.charge(0));
            charge.set(staged.bytes);
            let over = staged.events.len() > bounds.frames || staged.bytes > bounds.bytes;
            if over && staged.events.len() > 1 {
                staged.events = Vec::new();
                staged.bytes = 0;
                staged.charge = None;
                slots.request_close(staged.member, CloseRequest::Slow);
            }
        }
    }

    /// Drops what belongs to nobody after a panic; answers how many subscriptions each group has.
    pub(super) fn reconcile(&mut self, slots: &Slots) -> NameMap<u32, u32> {
        self.by_group.retain(|group, of_group| {
            of_group.retain(|staged| {
                let seat = slots.seat(staged.member);
                let membership = seat.and_then(|seat| seat.membership(*group));
                membership.is_some_and(|place| place.lane == STAGED && place.index == staged.id)
            });
            !of_group.is_empty()
        });
        let counts = self.by_group.iter();
        let counts = counts.map(|(group, list)| (*group, count(list.len())));
        counts.collect()
    }
}

impl Roster {
    /// Puts a session into a group whose events are kept for it until [`FanOut::activate`].
    pub(crate) fn stage(
        &mut self,
        slots: &mut Slots,
        member: SlotRef,
        name: &GroupName,
    ) -> Option<Subscribed> {
        slots.seat(member)?;
        let index = self.groups.find_or_add(name)?;
        let group = self.groups.get_mut(index)?;
        let seat = slots.seat_mut(member)?;
        let (new, stage) = match seat.membership(index) {
            Some(place) if place.lane == STAGED => {
                let staged = self.staging.find(index, place.index)?;
                staged.holders += 1;
                (false, Some(place.index))
            }
            Some(_) => (false, None),
            None => {
                let id = self.staging.add(index, member);
                group.members += 1;
                seat.memberships.push(Membership {
                    group: index,
                    lane: STAGED,
                    index: id,
                    tag: 0,
                });
                (true, Some(id))
            }
        };
        let group = group.name.clone();
        Some(Subscribed { group, new, stage })
    }

    /// Somebody does not make a subscription live; answers whether nobody else can either, so that
    /// the session has to leave the group.
    pub(crate) fn abandon(
        &mut self,
        slots: &Slots,
        member: SlotRef,
        subscribed: &Subscribed,
    ) -> bool {
        let (Some(index), Some(stage)) = (self.groups.find(&subscribed.group), subscribed.stage)
        else {
            return false;
        };
        let seat = slots.seat(member);
        let is_staged = seat
            .and_then(|seat| seat.membership(index))
            .is_some_and(|place| place.lane == STAGED && place.index == stage);
        let staged = self.staging.find(index, stage);
        let Some(staged) = staged.filter(|_| is_staged) else {
            return false;
        };
        staged.holders -= 1;
        staged.holders == 0
    }

    fn staged_events(&mut self, place: Membership) -> Vec<Rc<SharedEvent>> {
        let staged = (place.lane == STAGED).then(|| self.staging.find(place.group, place.index));
        staged
            .flatten()
            .map_or_else(Vec::new, |staged| staged.events.clone())
    }
}

/// What a session gets of what was staged for it.
#[derive(Default)]
struct Caught {
    frames: BytesMut,
    /// Events in the frames.
    count: u32,
    events: Vec<Rc<SharedEvent>>,
    /// The event that ends the session.
    close: Option<Rc<SharedEvent>>,
    dropped: Dropped,
}

impl Caught {
    fn of(
        staged: Vec<Rc<SharedEvent>>,
        options: &SubscribeOptions,
        after: Option<Position>,
    ) -> Self {
        let mut caught = Self::default();
        for event in staged {
            let message = event.outgoing();
            if is_known(message.position, after) {
                continue;
            }
            if event.envelope().close.is_some() {
                caught.close = Some(event);
                break;
            }
            match options.mode {
                DeliveryMode::Events => caught.events.push(event),
                DeliveryMode::Frames => {
                    match options.encoder.encode(&message, &mut caught.frames) {
                        Ok(()) => caught.count += 1,
                        Err(why) => caught.dropped.count(why),
                    }
                }
            }
        }
        caught
    }
}

/// Whether the client has an event already, which got everything up to `after`.
fn is_known(position: Option<Position>, after: Option<Position>) -> bool {
    position.zip(after).is_some_and(|(position, after)| {
        position.epoch == after.epoch && position.offset <= after.offset
    })
}

impl FanOut {
    /// Makes a subscription live. The client gets, in this order: what its program has sent,
    /// `preface`, what was staged behind its position, and then what arrives from now on. `None` when
    /// the session is not in the group any more, or is there anew. A subscription that is live
    /// already gets these options.
    pub(crate) fn activate(
        &mut self,
        member: SlotRef,
        subscribed: &Subscribed,
        options: &SubscribeOptions,
        (preface, after): (&Bytes, Option<Position>),
    ) -> Option<Dropped> {
        let Self { slots, roster } = self;
        let group = roster.groups.find(&subscribed.group)?;
        let place = slots.seat(member)?.membership(group)?;
        if place.lane == STAGED && subscribed.stage != Some(place.index) {
            return None;
        }
        let caught = Caught::of(roster.staged_events(place), options, after);
        roster.flush_lane(slots, member, place);
        let own = slots.seat(member)?.unwritten();
        let (own, own_events) = own.unwrap_or_default();
        let parts = [own, preface.clone(), caught.frames.freeze()];
        let mut whole = parts.iter().filter(|part| !part.is_empty());
        match (whole.next(), whole.next()) {
            (None, _) => {}
            (Some(one), None) => slots.send(member, one, own_events + caught.count),
            _ => slots.send(
                member,
                &Bytes::from(parts.concat()),
                own_events + caught.count,
            ),
        }
        roster.enlist(slots, member, place, options)?;
        if !caught.events.is_empty() {
            slots.post(member, &SharedBatch::new(caught.events, Some(group)));
        }
        if let Some(event) = caught.close
            && let Some(close) = &event.envelope().close
        {
            slots.kick(member, &event, &Rc::new(close.clone()));
        }
        Some(caught.dropped)
    }
}

#[cfg(test)]
mod tests;
