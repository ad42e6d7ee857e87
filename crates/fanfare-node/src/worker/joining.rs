//! Joining and leaving groups after admission.

use fanfare_protocol::GroupName;
use futures_util::FutureExt as _;
use futures_util::future::{LocalBoxFuture, OptionFuture, join, join_all};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::{Joined, WorkerThread};
use crate::error::{AdmitError, JoinError};
use crate::fan_out::{FanOut, SlotRef};
use crate::options::MAX_WORKERS;

/// What a session waits for before it is admitted.
pub(crate) struct Acknowledgements<'a> {
    /// Groups that the layer has not acknowledged.
    groups: Vec<oneshot::Receiver<()>>,
    /// Those that the layer is told each member of, if there are any.
    member: Option<LocalBoxFuture<'a, bool>>,
}

impl Acknowledgements<'_> {
    /// Resolves to whether the layer has acknowledged all of them.
    pub(crate) async fn acknowledged(self) -> bool {
        let (groups, member) = join(join_all(self.groups), OptionFuture::from(self.member)).await;
        // A sender that was dropped belongs to a bridge that gave the request up.
        member.unwrap_or(true) && groups.iter().all(Result::is_ok)
    }
}

impl WorkerThread {
    /// Puts a new session into its groups, whose names become those that the worker shares.
    pub(crate) fn join_first(
        &self,
        member: SlotRef,
        groups: &mut [GroupName],
    ) -> Acknowledgements<'_> {
        let everyone = self.join(member, &self.node().everyone);
        let mut waiting = Vec::from_iter(everyone.wait);
        let mut told = Vec::new();
        for group in groups {
            let joined = self.join(member, group);
            *group = joined.group;
            waiting.extend(joined.wait);
            if joined.new && self.tracks_members_individually(group) {
                told.push(group.clone());
            }
        }
        Acknowledgements {
            groups: waiting,
            member: (!told.is_empty()).then(|| self.subscribe_member(member, told).boxed_local()),
        }
    }

    /// Whether a member may have this many groups here.
    pub(crate) fn check_groups(&self, asked: usize) -> Result<(), AdmitError> {
        let refused = &self.node().metrics.refused;
        let limit = self.node().options.limits.groups_per_session;
        if asked > limit {
            refused.groups.inc();
            return Err(AdmitError::TooManyGroups { asked, limit });
        }
        if usize::from(self.index()) >= MAX_WORKERS {
            refused.node_full.inc();
            return Err(AdmitError::TooManyWorkers);
        }
        Ok(())
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
