//! The groups of a session that is not admitted yet.

use std::rc::Rc;

use fanfare_protocol::GroupName;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout_at};

use crate::error::AdmitError;
use crate::fan_out::{SlotRef, SubscribeOptions};
use crate::worker::WorkerThread;

/// The groups that a seated session is to be in. Nothing is subscribed before the first
/// [`join`](Self::join).
pub struct PendingGroups {
    worker: Rc<WorkerThread>,
    member: SlotRef,
    groups: Vec<GroupName>,
    options: SubscribeOptions,
    joined: OnceCell<()>,
}

/// Memberships that the layer has not acknowledged: dropping this takes them back.
struct Unacknowledged<'a>(&'a PendingGroups);

impl PendingGroups {
    pub(super) fn new(
        worker: &Rc<WorkerThread>,
        member: SlotRef,
        groups: Vec<GroupName>,
        options: SubscribeOptions,
    ) -> Self {
        Self {
            worker: Rc::clone(worker),
            member,
            groups,
            options,
            joined: OnceCell::new(),
        }
    }

    /// Joins the groups and waits until the layer has acknowledged all of them, at most
    /// `layer.join_ms`. Once that was so, it resolves at once.
    ///
    /// # Errors
    /// [`AdmitError::LayerDown`] and [`AdmitError::LayerTimeout`]; the session is in none of the
    /// groups then.
    pub async fn join(&self) -> Result<(), AdmitError> {
        let join = self.joined.get_or_try_init(|| async {
            let outcome = self.join_once().await;
            if outcome.is_err() {
                self.worker.node().metrics.refused.layer.inc();
            }
            outcome
        });
        join.await.copied()
    }

    async fn join_once(&self) -> Result<(), AdmitError> {
        let node = self.worker.node();
        let deadline = Instant::now() + node.options.join_timeout;
        if !node.layer_is_there(deadline).await {
            return Err(AdmitError::LayerDown);
        }
        let waiting = self
            .worker
            .join_first(self.member, &self.groups, &self.options);
        let unacknowledged = Unacknowledged(self);
        match timeout_at(deadline, waiting.acknowledged()).await {
            Ok(true) => {
                std::mem::forget(unacknowledged);
                Ok(())
            }
            _ => Err(AdmitError::LayerTimeout),
        }
    }
}

impl Drop for Unacknowledged<'_> {
    fn drop(&mut self) {
        let PendingGroups {
            worker,
            member,
            groups,
            ..
        } = self.0;
        for group in groups {
            worker.leave(*member, group);
        }
    }
}
