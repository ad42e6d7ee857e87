//! A turn of the registry: deliveries of the inbox are put on their way to sessions, and counted.

use std::time::{Duration, Instant};

use fanfare_layer::Delivery;
use fanfare_protocol::{ChannelName, GroupName, Target, Undeliverable};
use smallvec::SmallVec;

use super::WorkerThread;
use super::turn::SLICE;
use crate::directory::Question;
use crate::fan_out::{Dropped, FanOut, SlotRef, Slots, Tally};

/// Deliveries taken from the inbox in one turn, so that a turn stays short.
const TURN: usize = 512;
/// The share of a turn in which deliveries are taken, so that what they lead to is sent in it too.
const TAKING: Duration = Duration::from_micros(250);
/// Deliveries between two looks at the clock.
const STRIDE: usize = 16;

impl WorkerThread {
    /// One turn of the registry: what has arrived is put on its way, and one slice of it is sent.
    pub(crate) fn turn(&self) {
        for question in self.inbox.questions() {
            self.answer(question);
        }
        let fan_out = &mut *self.fan_out.borrow_mut();
        self.relieve(fan_out);
        let limits = &self.node.options.limits;
        let started = Instant::now();
        for taken in 1..=TURN {
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
            if taken % STRIDE == 0 && started.elapsed() >= TAKING {
                break;
            }
        }
        let FanOut { slots, roster } = fan_out;
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
        self.tab.set_in_flight(roster.waiting_bytes());
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
        self.check_memory();
    }

    fn answer(&self, question: Question) {
        // An answer that nobody waits for any more is dropped: the caller was.
        match question {
            Question::Channels { group, answer } => drop(answer.send(self.channels(&group))),
            Question::User { channel, answer } => drop(answer.send(self.user(&channel))),
        }
    }

    /// The user of the session with this channel. The group of the user is where that is kept.
    fn user(&self, channel: &ChannelName) -> Option<Option<String>> {
        let fan_out = self.fan_out.borrow();
        let member = self.member(&fan_out.slots, channel)?;
        let mut groups = fan_out.roster.groups_of(&fan_out.slots, member);
        Some(groups.find_map(GroupName::user_id))
    }

    /// The channels of a group's members on this worker.
    fn channels(&self, group: &GroupName) -> Vec<ChannelName> {
        let members = self.fan_out.borrow().roster.members(group);
        members
            .into_iter()
            .map(|member| self.channel(member))
            .collect()
    }
}
