//! What one queue keeps of the budget.

use super::{MemoryBudget, MemoryUse};

/// Bytes that are counted in a budget until this is dropped.
#[derive(Debug)]
pub struct Charge {
    budget: MemoryBudget,
    what: MemoryUse,
    bytes: usize,
}

impl Charge {
    pub(super) fn new(budget: MemoryBudget, what: MemoryUse) -> Self {
        let bytes = 0;
        Self {
            budget,
            what,
            bytes,
        }
    }

    /// The bytes that are counted.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counts so many bytes from now on.
    pub fn set(&mut self, bytes: usize) {
        if bytes > self.bytes {
            self.budget.take(self.what, bytes - self.bytes);
        } else if bytes < self.bytes {
            self.budget.give(self.what, self.bytes - bytes);
        }
        self.bytes = bytes;
    }

    /// Counts so many bytes more.
    pub fn grow(&mut self, bytes: usize) {
        self.set(self.bytes + bytes);
    }

    /// The same with so many bytes more.
    #[must_use]
    pub fn of(mut self, bytes: usize) -> Self {
        self.grow(bytes);
        self
    }

    /// Whose bytes they are.
    pub fn budget(&self) -> &MemoryBudget {
        &self.budget
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// What one queue keeps. It tells the budget in steps of at most 64 KiB, so that a queue that fills and
/// empties does not touch what all threads share.
#[derive(Debug)]
pub struct Account {
    told: Charge,
    step: usize,
}

impl Account {
    pub(super) fn new(told: Charge, step: usize) -> Self {
        Self { told, step }
    }

    /// The queue keeps so many bytes now.
    pub fn set(&mut self, bytes: usize) {
        if bytes.abs_diff(self.told.bytes()) >= self.step || bytes == 0 {
            self.told.set(bytes);
        }
    }

    /// Whose memory it is.
    pub fn budget(&self) -> &MemoryBudget {
        self.told.budget()
    }
}
