//! Joining and leaving groups after admission, for sessions and for any actix actor.

use std::rc::Rc;
use std::sync::Arc;

use actix::Recipient;
use fanfare_protocol::{ChannelName, Close, Envelope, Event, GroupName, TypedError};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use crate::admission::{AdmitError, SeatGuard};
use crate::outlet::EventSink;
use crate::slots::SlotRef;
use crate::worker::{FanOut, Joined, WorkerThread};

/// Why a group was not joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// `limits.groups_per_session`.
    #[error("the session is in {limit} groups already, which is the limit")]
    TooManyGroups {
        /// The limit.
        limit: usize,
    },
    /// The layer is lost, or did not acknowledge the group within `layer.join_ms`.
    #[error("the layer did not acknowledge the group in time")]
    Layer,
    /// The session has ended.
    #[error("the session has ended")]
    Ended,
}

/// An event that has arrived for an actor.
#[derive(Debug, Clone, actix::Message)]
#[rtype(result = "()")]
pub struct Arrived {
    /// The event, shared by everybody who gets it. With `close` it asks the actor to end.
    pub envelope: Arc<Envelope>,
}

impl Arrived {
    /// The event.
    pub fn event(&self) -> &Event {
        &self.envelope.event
    }

    /// The event as a value of the application.
    ///
    /// # Errors
    /// [`TypedError`] when the event is not of this shape.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, TypedError> {
        self.envelope.event.to()
    }

    /// How the actor is asked to end; then the event says nothing else.
    pub fn close(&self) -> Option<&Close> {
        self.envelope.close.as_ref()
    }
}

/// An actor that is a member like a session: it has a channel name and joins groups. Dropping this
/// takes it out of all of them.
pub struct Enrolled {
    place: SeatGuard,
}

impl WorkerThread {
    /// Seats an actor. It gets an [`Arrived`] for every event of its groups, of everyone's group
    /// and of its channel; what does not fit its mailbox is dropped and counted.
    ///
    /// # Errors
    /// [`AdmitError::TooManyWorkers`], [`AdmitError::NodeFull`].
    pub fn enrol(self: &Rc<Self>, recipient: Recipient<Arrived>) -> Result<Enrolled, AdmitError> {
        let member = self.seat_actor(EventSink::Actor(recipient))?;
        let place = SeatGuard {
            worker: Rc::clone(self),
            member,
        };
        // Everyone's group needs no acknowledgement that an actor would wait for.
        let _everyone = self.join(member, &self.node().everyone);
        Ok(Enrolled { place })
    }

    /// Puts a session into a group; resolves when the layer has acknowledged it.
    pub(crate) async fn join_later(
        &self,
        member: SlotRef,
        group: &GroupName,
    ) -> Result<(), JoinError> {
        let node = self.node();
        let deadline = Instant::now() + node.options.join_timeout;
        if !node.layer_is_there(deadline).await {
            return Err(JoinError::Layer);
        }
        self.check_room(member, group)?;
        let Joined { group, new, wait } = self.join(member, group);
        let told = self.tracks_members_individually(&group);
        if wait.is_none() && !told {
            return Ok(());
        }
        // Who stops waiting, or waits too long, is not in the group, unless it was before.
        let joining = new.then(|| Joining {
            worker: self,
            member,
            group: &group,
        });
        let acknowledged = async {
            match wait {
                Some(wait) => wait.await.is_ok(),
                None => self.subscribe_member(member, vec![group.clone()]).await,
            }
        };
        match timeout_at(deadline, acknowledged).await {
            Ok(true) => {
                std::mem::forget(joining);
                Ok(())
            }
            _ => Err(JoinError::Layer),
        }
    }

    fn check_room(&self, member: SlotRef, group: &GroupName) -> Result<(), JoinError> {
        let fan_out = &*self.fan_out.borrow();
        let seat = fan_out.slots.seat(member).ok_or(JoinError::Ended)?;
        let limit = self.node().options.limits.groups_per_session;
        // Everyone's group is not counted.
        if seat.memberships.len() > limit
            && !fan_out.roster.is_member(&fan_out.slots, member, group)
        {
            return Err(JoinError::TooManyGroups { limit });
        }
        Ok(())
    }

    /// Takes a member out of a group; whether it was in it.
    pub(crate) fn leave(&self, member: SlotRef, group: &GroupName) -> bool {
        if *group == self.node().everyone {
            return false;
        }
        let mut fan_out = self.fan_out.borrow_mut();
        let FanOut { slots, roster } = &mut *fan_out;
        let alive = slots.is_alive(member);
        let left = roster.part(slots, member, group);
        if let Some((name, last)) = &left {
            self.node().directory.leave(name, self.index(), *last);
        }
        drop(fan_out);
        // Also a group that somebody else has put it into, of which this node knows nothing.
        if alive && self.tracks_members_individually(group) {
            self.unsubscribe_member(member, std::slice::from_ref(group));
        }
        left.is_some()
    }
}

/// A membership that the layer has not acknowledged: dropping this takes it back.
struct Joining<'a> {
    worker: &'a WorkerThread,
    member: SlotRef,
    group: &'a GroupName,
}

impl Drop for Joining<'_> {
    fn drop(&mut self) {
        self.worker.leave(self.member, self.group);
    }
}

impl Enrolled {
    /// The actor's channel name.
    pub fn channel(&self) -> ChannelName {
        self.place.worker.channel(self.place.member)
    }

    /// Puts the actor into a group; resolves when the layer has acknowledged it.
    ///
    /// # Errors
    /// [`JoinError`]; the actor is not in the group then, unless it was before.
    pub async fn join(&self, group: &GroupName) -> Result<(), JoinError> {
        self.place.worker.join_later(self.place.member, group).await
    }

    /// Takes the actor out of a group; whether it was in it.
    pub fn leave(&self, group: &GroupName) -> bool {
        self.place.worker.leave(self.place.member, group)
    }
}
