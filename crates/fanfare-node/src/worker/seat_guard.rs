//! The hold on a seat.

use std::rc::Rc;

use super::WorkerThread;
use crate::addresses::Network;
use crate::fan_out::SlotRef;

/// A seat that is given up when this is dropped, however that comes about.
pub(crate) struct SeatGuard {
    pub(crate) worker: Rc<WorkerThread>,
    pub(crate) member: SlotRef,
    /// The address that counts the session.
    pub(crate) network: Option<Network>,
}

impl Drop for SeatGuard {
    fn drop(&mut self) {
        self.worker.vacate(self.member);
        self.worker.node().leave(self.network);
    }
}
