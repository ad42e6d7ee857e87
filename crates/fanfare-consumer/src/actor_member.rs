//! Actix actors as members of groups, beside sessions.

use std::future::ready;
use std::panic::catch_unwind;

use actix::Recipient;
use fanfare_node::{AdmitError, Arrived, Enrolled};
use fanfare_protocol::{ChannelName, GroupName};

use crate::cluster::{Cluster, GroupError, joinable};

/// Why an actor did not become a member.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemberError {
    /// The calling thread has no actix arbiter. The worker threads of a server have one.
    #[error("this thread runs no actix arbiter: call it in an actor or a handler")]
    NoArbiter,
    /// The node is full.
    #[error(transparent)]
    Admit(#[from] AdmitError),
}

/// An actor as a member of groups. It has its own channel name. It stays on its thread. Dropping it
/// removes the actor from all its groups.
pub struct ActorMember {
    enrolled: Enrolled,
}

impl Cluster {
    /// Makes an actor of this thread a member of the cluster. It gets an [`Arrived`] for every
    /// event of its groups, of everyone's group and of its channel. Events that do not fit into its
    /// mailbox are dropped and counted. An [`Arrived`] with a close asks the actor to stop.
    ///
    /// It works on every thread that runs an actix arbiter, also under a plain
    /// `actix_web::HttpServer`.
    ///
    /// # Errors
    /// [`MemberError::NoArbiter`], [`MemberError::Admit`].
    pub fn member(&self, recipient: Recipient<Arrived>) -> Result<ActorMember, MemberError> {
        if !runs_actors() {
            return Err(MemberError::NoArbiter);
        }
        let enrolled = Enrolled::new(&self.node().worker(), recipient)?;
        Ok(ActorMember { enrolled })
    }
}

impl ActorMember {
    /// The actor's channel name.
    pub fn channel(&self) -> ChannelName {
        self.enrolled.channel()
    }

    /// Joins a group. Returns when the layer has acknowledged it.
    ///
    /// # Errors
    /// [`GroupError`]; the actor is not in the group then. The names of Fanfare's own groups
    /// (`fanfare.`) are refused.
    pub async fn group_add(&self, group: &str) -> Result<(), GroupError> {
        Ok(self.enrolled.join(&joinable(group)?).await?)
    }

    /// Leaves a group. Returns whether the actor was in it.
    ///
    /// # Errors
    /// [`GroupError::Name`].
    pub fn group_discard(&self, group: &str) -> Result<bool, GroupError> {
        Ok(self.enrolled.leave(&joinable(group)?))
    }

    /// Makes the actor one of a user's sessions: it gets what is sent to the user.
    ///
    /// # Errors
    /// [`GroupError`].
    pub async fn user_add(&self, user: &str) -> Result<(), GroupError> {
        Ok(self.enrolled.join(&GroupName::user(user)?).await?)
    }
}

/// Whether actors can be started on this thread.
fn runs_actors() -> bool {
    // A server under #[tokio::main] has threads without an arbiter which run actors all the same;
    // only tokio knows them, and tells by a panic.
    actix_rt::Arbiter::try_current().is_some()
        || catch_unwind(|| drop(actix_rt::spawn(ready(())))).is_ok()
}
