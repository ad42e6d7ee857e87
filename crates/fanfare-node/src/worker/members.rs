//! How members of a group stand to a layer that subscribes: their node for all of them, or each of
//! them by itself.

use std::future::Future;
use std::time::Duration;

use fanfare_layer::{SubscribeError, Subscription};
use fanfare_protocol::GroupName;
use futures_util::future::BoxFuture;

use super::WorkerThread;
use crate::fan_out::SlotRef;

/// How long a member waits before it asks a layer again that has refused it.
const AGAIN: Duration = Duration::from_millis(250);

impl WorkerThread {
    /// Whether the layer is told of each member of this group.
    pub(crate) fn tracks_members_individually(&self, group: &GroupName) -> bool {
        self.node().directory.tracks_members_individually(group)
    }

    /// Tells the layer that a member is in these groups: now, and again whenever it refuses, for
    /// as long as the member is in all of them. Resolves to whether the layer has acknowledged it.
    pub(crate) fn subscribe_member(
        &self,
        member: SlotRef,
        groups: Vec<GroupName>,
    ) -> impl Future<Output = bool> {
        let mut asked = self.ask_layer(member, &groups);
        async move {
            while let Err(SubscribeError(reason)) = asked.await {
                tracing::debug!(reason, "a member was not subscribed");
                tokio::time::sleep(AGAIN).await;
                if !self.is_in_all(member, &groups) {
                    return false;
                }
                asked = self.ask_layer(member, &groups);
            }
            true
        }
    }

    /// Tells the layer that a member has left these groups. The layer notes it at the call, so
    /// nobody has to wait: ten thousand sessions may end at once.
    pub(crate) fn unsubscribe_member(&self, member: SlotRef, groups: &[GroupName]) {
        if !groups.is_empty() {
            let left = self.subscriptions(member, groups);
            drop(self.node().layer.unsubscribe(left));
        }
    }

    fn ask_layer(
        &self,
        member: SlotRef,
        groups: &[GroupName],
    ) -> BoxFuture<'static, Result<(), SubscribeError>> {
        let subscriptions = self.subscriptions(member, groups);
        self.node().layer.subscribe(subscriptions)
    }

    fn subscriptions(&self, member: SlotRef, groups: &[GroupName]) -> Vec<Subscription> {
        let channel = self.channel(member);
        let of = |group: &GroupName| Subscription::session_in_group(group.clone(), channel.clone());
        groups.iter().map(of).collect()
    }

    fn is_in_all(&self, member: SlotRef, groups: &[GroupName]) -> bool {
        let fan_out = &*self.fan_out.borrow();
        let mut groups = groups.iter();
        groups.all(|group| fan_out.roster.is_member(&fan_out.slots, member, group))
    }
}
