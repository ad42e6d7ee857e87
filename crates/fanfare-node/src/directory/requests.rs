//! The bridge's part in the subscriptions of groups: what to ask the layer for, and what follows
//! from its answers. It knows no layer and no clock.

use std::sync::Arc;
use std::time::Instant;

use fanfare_layer::SubscribeError;
use fanfare_protocol::GroupName;

use super::Directory;
use super::wanted::Request;

/// What one bridge has under way; a bridge that follows it begins anew.
pub(crate) struct Requests {
    directory: Arc<Directory>,
    /// Requests that the layer has refused; their groups are asked for again at the next sweep.
    refused: Vec<Request>,
}

impl Requests {
    /// What the bridge before had under way is to be done again.
    pub(crate) fn new(directory: Arc<Directory>) -> Self {
        directory.restart_changes();
        Self {
            directory,
            refused: Vec::new(),
        }
    }

    /// The layer has answered a request to subscribe.
    pub(crate) fn answered(&mut self, request: Request, answer: Result<(), SubscribeError>) {
        match answer {
            Ok(()) => self.directory.subscribed(&request),
            Err(SubscribeError(reason)) => {
                // Those who wait longer than they may answer 503 by themselves.
                tracing::debug!(reason, "a group was not subscribed");
                self.refused.push(request);
            }
        }
    }

    /// Asks again for what was refused; answers the groups to unsubscribe, which have been empty
    /// for long enough.
    pub(crate) fn sweep(&mut self, now: Instant) -> Vec<GroupName> {
        for request in std::mem::take(&mut self.refused) {
            self.directory.refused(&request);
        }
        self.directory.start_leaving(now)
    }

    /// The layer has answered a request to unsubscribe. One that it refuses counts as done: it has
    /// noted that the groups are wanted no more.
    pub(crate) fn unsubscribed(&self, groups: &[GroupName], answer: Result<(), SubscribeError>) {
        if let Err(SubscribeError(reason)) = answer {
            let groups = groups.len();
            tracing::warn!(groups, reason, "groups were not unsubscribed");
        }
        self.directory.left(groups);
    }
}
