//! The end of a worker's sessions, spread over the window of a drain.

use std::time::{Duration, Instant};

use crate::fan_out::{CloseRequest, Slots};

/// Progress of a drain through the slots.
#[derive(Clone, Copy)]
pub(super) struct Draining {
    next: u32,
    until: Instant,
}

impl Draining {
    pub(super) fn new(now: Instant, window: Duration) -> Self {
        Self {
            next: 0,
            until: now + window,
        }
    }

    /// Closes a part of the sessions each tick, so that they are spread over the window.
    pub(super) fn advance(&mut self, slots: &mut Slots, now: Instant, window: Duration) {
        let left = self.until.saturating_duration_since(now);
        let capacity = slots.capacity();
        let end = match u128::from(capacity) * window.saturating_sub(left).as_nanos() {
            _ if left.is_zero() => capacity,
            // The first at once: a lone session does not wait for the window.
            share => u32::try_from(share / window.as_nanos().max(1) + 1).unwrap_or(capacity),
        };
        let end = end.min(capacity);
        let open = (self.next..end).filter_map(|slot| slots.occupant(slot));
        for member in open
            .filter(|member| !slots.is_closing(*member))
            .collect::<Vec<_>>()
        {
            slots.request_close(member, CloseRequest::Drain);
        }
        // Once the window is over every slot is looked at again: handshakes that were under way
        // have taken seats before the cursor.
        self.next = if left.is_zero() {
            0
        } else {
            end.max(self.next)
        };
    }
}
