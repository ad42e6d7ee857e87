//! What several nodes of one process share.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use parking_lot::Mutex;

use super::Entrance;
use super::control::Handlers;
use super::leases::LeaseTable;
use crate::{Delivery, Publish};

/// Connects the memory layers of several nodes in one process, in place of Redis: for tests of
/// what happens between nodes. Clones are the same bus.
///
/// It is as pub/sub over Redis is: every node gets what is published, and an event for a normal
/// channel is received by each node that receives from it. Nothing is lost, and a publisher waits
/// for each node that has no room.
#[derive(Clone, Default)]
pub struct MemoryBus {
    pub(super) shared: Arc<Shared>,
}

/// The nodes of a bus, and what they share.
#[derive(Default)]
pub(super) struct Shared {
    /// The lock gives the events of all publishers one order on all nodes.
    nodes: Mutex<Vec<Arc<Entrance>>>,
    pub(super) handlers: Handlers,
    pub(super) leases: Arc<LeaseTable>,
}

impl MemoryBus {
    /// A bus without nodes.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Shared {
    pub(super) fn join(&self, node: &Arc<Entrance>) {
        self.nodes.lock().push(node.clone());
    }

    pub(super) fn leave(&self, node: &Arc<Entrance>) {
        self.nodes.lock().retain(|other| !Arc::ptr_eq(other, node));
    }

    /// Publishes what one of the nodes has to say to all of them. What becomes of it on the other
    /// nodes is theirs to count, except that the publisher waits for them.
    pub(super) fn offer(&self, from: &Arc<Entrance>, delivery: Delivery) -> Publish {
        let nodes = self.nodes.lock();
        let own = from.offer(delivery.clone());
        if let Publish::Done(Err(_)) = own {
            return own;
        }
        let others = nodes.iter().filter(|node| !Arc::ptr_eq(node, from));
        let others = others.map(|node| node.offer(delivery.clone()));
        let full: Vec<_> = others.filter(|it| matches!(it, Publish::Full(_))).collect();
        if full.is_empty() {
            return own;
        }
        let all = async move {
            let waits = full.into_iter().map(Publish::confirmed);
            let (own, _) = tokio::join!(own.confirmed(), join_all(waits));
            Publish::Done(own)
        };
        Publish::Full(all.boxed())
    }
}

impl std::fmt::Debug for MemoryBus {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("MemoryBus")
            .field("nodes", &self.shared.nodes.lock().len())
            .finish()
    }
}
