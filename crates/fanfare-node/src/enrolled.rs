//! Actors of an application as members of groups.

use std::rc::Rc;

use actix::Recipient;
use fanfare_protocol::{ChannelName, GroupName};

use crate::error::{AdmitError, JoinError};
use crate::fan_out::{Arrived, EventSink};
use crate::worker::{SeatGuard, WorkerThread};

/// An actor that is a member like a session: it has a channel name and joins groups. Dropping this
/// takes it out of all of them.
pub struct Enrolled {
    place: SeatGuard,
}

impl Enrolled {
    /// Seats an actor. It gets an [`Arrived`] for every event of its groups, of everyone's group
    /// and of its channel; what does not fit its mailbox is dropped and counted.
    ///
    /// # Errors
    /// [`AdmitError::TooManyWorkers`], [`AdmitError::NodeFull`].
    pub fn new(
        worker: &Rc<WorkerThread>,
        recipient: Recipient<Arrived>,
    ) -> Result<Self, AdmitError> {
        let member = worker.seat_actor(EventSink::Actor(Box::new(recipient)))?;
        let place = SeatGuard {
            worker: Rc::clone(worker),
            member,
            network: None,
        };
        // Everyone's group needs no acknowledgement that an actor would wait for.
        if let Some(options) = worker.defaults(member) {
            let _acknowledged = worker.join(member, &worker.node().everyone, &options);
        }
        Ok(Self { place })
    }

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
