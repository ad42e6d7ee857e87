//! What a worker thread keeps in memory for its sessions.
//!
//! It is counted here without atomics, and told to the node's budget in steps.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use fanfare_layer::Account;

/// The running sum of one worker thread, in bytes.
pub(crate) struct Tab {
    kept: Cell<usize>,
    /// Of events that are being sent.
    in_flight: Cell<usize>,
    account: RefCell<Account>,
    /// The most that waited for one session since somebody last looked at all of them.
    heaviest: Cell<usize>,
    /// More is kept than when somebody last asked.
    grown: Cell<bool>,
}

/// Bytes that are on a tab until this is dropped.
pub(crate) struct TabCharge {
    tab: Rc<Tab>,
    bytes: usize,
}

impl Tab {
    pub(crate) fn new(account: Account) -> Self {
        Self {
            kept: Cell::new(0),
            in_flight: Cell::new(0),
            account: RefCell::new(account),
            heaviest: Cell::new(0),
            grown: Cell::new(false),
        }
    }

    /// One of a budget that is never short.
    #[cfg(test)]
    pub(crate) fn unlimited() -> Rc<Self> {
        use fanfare_layer::{MemoryBudget, MemoryUse};

        let budget = MemoryBudget::unlimited();
        Rc::new(Self::new(budget.account(MemoryUse::Sessions)))
    }

    /// Puts bytes on the tab.
    pub(crate) fn charge(self: &Rc<Self>, bytes: usize) -> TabCharge {
        let mut charge = TabCharge {
            tab: Rc::clone(self),
            bytes: 0,
        };
        charge.set(bytes);
        charge
    }

    /// Events of so many bytes are being sent now.
    pub(crate) fn set_in_flight(&self, bytes: usize) {
        if self.in_flight.replace(bytes) != bytes {
            self.grown.set(true);
            self.settle();
        }
    }

    /// What was kept as `before` bytes is `after` bytes now.
    pub(crate) fn change(&self, before: usize, after: usize) {
        let kept = self.kept.get() + after;
        self.kept.set(kept.saturating_sub(before));
        self.grown.set(self.grown.get() || after > before);
        self.settle();
    }

    /// So much waits for one session.
    pub(crate) fn weigh(&self, bytes: usize) {
        self.heaviest.set(self.heaviest.get().max(bytes));
    }

    /// The most that may wait for one session.
    pub(crate) fn heaviest(&self) -> usize {
        self.heaviest.get()
    }

    /// All sessions have been looked at.
    pub(crate) fn forget_heaviest(&self) {
        self.heaviest.set(0);
    }

    /// Whether more is kept than at the last call.
    pub(crate) fn take_grown(&self) -> bool {
        self.grown.take()
    }

    fn settle(&self) {
        let bytes = self.kept.get() + self.in_flight.get();
        self.account.borrow_mut().set(bytes);
    }
}

impl TabCharge {
    /// So many bytes from now on.
    pub(crate) fn set(&mut self, bytes: usize) {
        self.tab.change(self.bytes, bytes);
        self.bytes = bytes;
    }
}

impl Drop for TabCharge {
    fn drop(&mut self) {
        self.set(0);
    }
}
