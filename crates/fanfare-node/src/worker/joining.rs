//! Joining and leaving groups after admission.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use fanfare_protocol::{GroupName, Position};
use futures_util::FutureExt as _;
use futures_util::future::{LocalBoxFuture, OptionFuture, join, join_all};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::WorkerThread;
use crate::error::{AdmitError, JoinError};
use crate::fan_out::{FanOut, SlotRef, SubscribeOptions, Subscribed};
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
    /// The name as the worker's roster keeps it, so that sessions share one.
    pub(crate) fn shared_name(&self, group: &GroupName) -> GroupName {
        let fan_out = self.fan_out.borrow();
        fan_out.roster.name_of(group).unwrap_or(group).clone()
    }

    /// Puts a new session into its groups.
    pub(crate) fn join_first(
        &self,
        member: SlotRef,
        groups: &[GroupName],
        options: &SubscribeOptions,
    ) -> Acknowledgements<'_> {
        let everyone = self.join(member, &self.node().everyone, options);
        let mut waiting = Vec::from_iter(everyone.wait);
        let mut told = Vec::new();
        for group in groups {
            let joined = self.join(member, group, options);
            waiting.extend(joined.wait);
            if joined.new && self.tracks_members_individually(group) {
                told.push(joined.group);
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
        if self.inbox().is_closed() {
            refused.draining.inc();
            return Err(AdmitError::Draining);
        }
        Ok(())
    }

    /// Puts a member into a group with its defaults; resolves when the layer has acknowledged it.
    pub(crate) async fn join_later(
        self: &Rc<Self>,
        member: SlotRef,
        group: &GroupName,
    ) -> Result<(), JoinError> {
        let options = self.defaults(member).ok_or(JoinError::Ended)?;
        let mut pending = self.subscribe(member, group, options).await?;
        if pending.subscribed.stage.is_some() && !pending.make_live(&Bytes::new(), None) {
            return Err(JoinError::Ended);
        }
        Ok(())
    }

    /// How a member takes what is for it alone.
    pub(crate) fn defaults(&self, member: SlotRef) -> Option<SubscribeOptions> {
        let fan_out = self.fan_out.borrow();
        let seat = fan_out.slots.seat(member)?;
        Some(SubscribeOptions {
            encoder: Arc::clone(&seat.encoder),
            mode: seat.mode,
            tag: 0,
        })
    }

    /// Asks the layer for a group; what arrives for it meanwhile is staged.
    pub(crate) async fn subscribe(
        self: &Rc<Self>,
        member: SlotRef,
        group: &GroupName,
        options: SubscribeOptions,
    ) -> Result<Pending, JoinError> {
        let node = self.node();
        let deadline = Instant::now() + node.options.join_timeout;
        if !node.layer_is_there(deadline).await {
            return Err(JoinError::Layer);
        }
        self.check_room(member, group)?;
        // Whoever stops waiting, or waits too long, drops it, and is not in the group.
        let (pending, wait) = self.stage(member, group, options).ok_or(JoinError::Ended)?;
        let acknowledged = async {
            match wait {
                Some(wait) => wait.await.is_ok(),
                None if self.tracks_members_individually(group) => {
                    self.subscribe_member(member, vec![pending.subscribed.group.clone()])
                        .await
                }
                None => true,
            }
        };
        match timeout_at(deadline, acknowledged).await {
            Ok(true) => Ok(pending),
            _ => Err(JoinError::Layer),
        }
    }

    fn stage(
        self: &Rc<Self>,
        member: SlotRef,
        group: &GroupName,
        options: SubscribeOptions,
    ) -> Option<(Pending, Option<oneshot::Receiver<()>>)> {
        let fan_out = &mut *self.fan_out.borrow_mut();
        let subscribed = fan_out.roster.stage(&mut fan_out.slots, member, group)?;
        let directory = &self.node().directory;
        let wait = match subscribed.new {
            true => directory.join(&subscribed.group, self.index()),
            false => directory.acknowledgement(&subscribed.group),
        };
        let pending = Pending {
            worker: Rc::clone(self),
            member,
            subscribed,
            options,
        };
        Some((pending, wait))
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

/// A subscription that the layer has acknowledged and that is not live yet. Dropping this
/// unsubscribes the session, unless the subscription was live before.
#[must_use = "a subscription that is not activated is taken back"]
pub struct Pending {
    worker: Rc<WorkerThread>,
    member: SlotRef,
    subscribed: Subscribed,
    options: SubscribeOptions,
}

impl Pending {
    /// Makes the subscription live. The client gets, with nothing between: what the program has
    /// sent, then `preface`, then the staged events behind `after`; then events as they arrive.
    /// `preface` is encoded frames. Answers false when the session has ended or has left the group.
    pub fn activate(mut self, preface: Bytes, after: Option<Position>) -> bool {
        self.make_live(&preface, after)
    }

    fn make_live(&mut self, preface: &Bytes, after: Option<Position>) -> bool {
        let fan_out = &mut *self.worker.fan_out.borrow_mut();
        let dropped = fan_out.activate(
            self.member,
            &self.subscribed,
            &self.options,
            (preface, after),
        );
        self.worker.count(std::mem::take(&mut fan_out.slots.tally));
        if let Some(dropped) = dropped {
            self.worker.count_dropped(dropped);
            self.subscribed.stage = None;
        }
        dropped.is_some()
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let worker = &self.worker;
        let mut fan_out = worker.fan_out.borrow_mut();
        let FanOut { slots, roster } = &mut *fan_out;
        let last = roster.abandon(slots, self.member, &self.subscribed);
        drop(fan_out);
        if last {
            worker.leave(self.member, &self.subscribed.group);
        }
    }
}
