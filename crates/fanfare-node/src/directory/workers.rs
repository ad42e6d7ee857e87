//! The places of a node's worker threads.
//!
//! A worker thread has a number, which is a part of its sessions' names. The number is given back
//! when the thread has ended. Whoever has it next starts the generations of its slots above all
//! earlier ones, so a name of the past reaches nobody.

use std::sync::{Arc, OnceLock, Weak};

use fanfare_layer::MemoryBudget;
use parking_lot::Mutex;

use super::inbox::{Inbox, InboxBounds};
use crate::options::MAX_WORKERS;

/// The number of a thread that found none free: it has no sessions.
const NO_NUMBER: u8 = u8::MAX;

#[derive(Clone, Copy)]
enum Number {
    /// The first generation of the slots of whoever takes it.
    Free(u32),
    Taken,
}

/// What a worker thread gets when it starts.
pub(crate) struct WorkerPlace {
    pub(crate) number: u8,
    /// The first generation of its slots.
    pub(crate) first_generation: u32,
    pub(crate) inbox: Arc<Inbox>,
}

/// The numbers of the worker threads, and their inboxes.
pub(super) struct Workers {
    numbers: Mutex<[Number; MAX_WORKERS]>,
    /// An inbox stays in its place, closed while nobody has the number: so a delivery finds it
    /// without a lock.
    inboxes: [OnceLock<Arc<Inbox>>; MAX_WORKERS],
}

impl Workers {
    pub(super) fn new() -> Self {
        Self {
            numbers: Mutex::new([Number::Free(0); MAX_WORKERS]),
            inboxes: [const { OnceLock::new() }; MAX_WORKERS],
        }
    }

    /// Takes the lowest free number.
    pub(super) fn enter(&self, bounds: InboxBounds, memory: &MemoryBudget) -> WorkerPlace {
        let (number, first_generation) = self.take().unwrap_or((NO_NUMBER, 0));
        let own = || {
            let inbox = Arc::new(Inbox::new(bounds, memory));
            let holder: Weak<Inbox> = Arc::downgrade(&inbox);
            memory.add_holder(holder);
            inbox
        };
        let place = self.inboxes.get(usize::from(number));
        let inbox = place.map_or_else(own, |place| Arc::clone(place.get_or_init(own)));
        inbox.open();
        WorkerPlace {
            number,
            first_generation,
            inbox,
        }
    }

    fn take(&self) -> Option<(u8, u32)> {
        let mut numbers = self.numbers.lock();
        for (number, state) in (0..).zip(numbers.iter_mut()) {
            if let Number::Free(generation) = *state {
                *state = Number::Taken;
                return Some((number, generation));
            }
        }
        None
    }

    /// Gives a number back; without a next generation nobody can have it any more.
    pub(super) fn leave(&self, number: u8, next_generation: Option<u32>) {
        let mut numbers = self.numbers.lock();
        if let Some(state) = numbers.get_mut(usize::from(number))
            && let Some(generation) = next_generation
        {
            *state = Number::Free(generation);
        }
    }

    pub(super) fn inbox(&self, number: u32) -> Option<&Arc<Inbox>> {
        self.inboxes.get(number as usize)?.get()
    }

    /// All that there have been, with their numbers.
    pub(super) fn inboxes(&self) -> impl Iterator<Item = (usize, &Arc<Inbox>)> {
        let inboxes = self.inboxes.iter().enumerate();
        inboxes.filter_map(|(number, inbox)| Some((number, inbox.get()?)))
    }
}
