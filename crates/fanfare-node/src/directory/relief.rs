//! How the node asks a worker thread to give up memory, and what it knows of the thread meanwhile.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use fanfare_layer::Shed;

use super::Inbox;

/// What a worker thread tells of its sessions, and what it is asked for.
#[derive(Default)]
pub(super) struct Relief {
    /// The most bytes that wait for one session of the thread, or more.
    heaviest: AtomicUsize,
    /// What waits for smaller sessions is to stay, in bytes.
    floor: AtomicUsize,
    asked: AtomicBool,
}

impl Relief {
    pub(super) fn weigh(&self, heaviest: usize) {
        // What other threads read is left alone where it says the same.
        if self.heaviest.load(Ordering::Relaxed) != heaviest {
            self.heaviest.store(heaviest, Ordering::Relaxed);
        }
    }

    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }
}

impl Inbox {
    /// At most so many bytes wait for one session of the thread.
    pub(crate) fn weigh(&self, heaviest: usize) {
        self.relief.weigh(heaviest);
    }

    /// Above how many bytes the thread is to cut its sessions, if it has been asked to.
    pub(crate) fn take_shed(&self) -> Option<usize> {
        let asked = self.relief.is_asked() && self.relief.asked.swap(false, Ordering::AcqRel);
        asked.then(|| self.relief.floor.load(Ordering::Relaxed))
    }
}

/// The thread does it in its next turn.
impl Shed for Inbox {
    fn heaviest(&self) -> usize {
        self.relief.heaviest.load(Ordering::Relaxed)
    }

    fn shed(&self, floor: usize) -> bool {
        self.relief.floor.store(floor, Ordering::Relaxed);
        self.relief.asked.store(true, Ordering::Release);
        self.wake();
        false
    }
}
