//! What names a session on its worker: its slot and the generation of it.

use std::os::fd::RawFd;

/// A session's entry in a group: all that a fan-out touches when the socket takes the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SlotRef {
    pub(crate) fd: RawFd,
    pub(crate) slot: u32,
    /// The slot's word while this session is alive and not blocked.
    pub(crate) word: u32,
}

impl SlotRef {
    pub(crate) fn generation(self) -> u32 {
        self.word >> 1
    }
}

/// Stands for the lane of a [`Membership`] whose events are staged.
pub(crate) const STAGED: u32 = u32::MAX;

/// Where a session stands in one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Membership {
    pub(crate) group: u32,
    pub(crate) lane: u32,
    /// Index among the members of the lane: leaving is O(1). With [`STAGED`], the number of what is
    /// staged.
    pub(crate) index: u32,
    /// The subscriber's own number for it.
    pub(crate) tag: u32,
}

/// How much may wait for one session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) bytes: usize,
    pub(crate) frames: usize,
}
