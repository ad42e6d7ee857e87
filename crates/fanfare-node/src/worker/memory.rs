//! A worker thread's part in the bound over the node's memory.

use super::WorkerThread;
use crate::fan_out::{FanOut, SlotRef};

impl WorkerThread {
    /// So many bytes of a client's input are kept now.
    pub(crate) fn keep_input(&self, member: SlotRef, bytes: usize) {
        self.fan_out.borrow_mut().slots.keep_input(member, bytes);
        self.check_memory();
    }

    /// If more is kept than at the last look, others learn how much, and somebody may have to give
    /// something up.
    pub(super) fn check_memory(&self) {
        if self.tab.take_grown() {
            self.inbox.weigh(self.tab.heaviest());
            self.node.options.memory.relieve();
        }
    }

    /// Cuts the sessions for which most waits, if this thread has been asked to.
    pub(super) fn relieve(&self, fan_out: &mut FanOut) {
        let Some(floor) = self.inbox.take_shed() else {
            return;
        };
        let memory = &self.node.options.memory;
        fan_out.slots.give_up(floor, memory.excess());
        self.inbox.weigh(self.tab.heaviest());
        // Others may hold more than what is left here.
        memory.relieve();
    }
}
