//! Faults that tests inject: an actor that gets a [`Crash`] panics in its handler.

use crate::{Node, WorkerThread};

pub use crate::supervise::Crash;

/// Makes this thread's registry panic; whether it was there to be told.
pub fn crash_registry(worker: &WorkerThread) -> bool {
    worker
        .registry
        .borrow()
        .as_ref()
        .is_some_and(|registry| registry.try_send(Crash).is_ok())
}

/// Makes the node's bridge panic; whether it was there to be told.
pub fn crash_bridge(node: &Node) -> bool {
    node.shared()
        .bridge
        .lock()
        .as_ref()
        .is_some_and(|bridge| bridge.try_send(Crash).is_ok())
}
