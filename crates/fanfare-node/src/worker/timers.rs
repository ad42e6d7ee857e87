//! The clock of a worker thread: its ticks, the timers of its sessions, and the pace of a drain.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::WorkerThread;
use super::draining::Draining;
use super::wheel::{Due, Timer};
use crate::fan_out::SlotRef;

impl WorkerThread {
    /// Fires a member's timer in `after`, or sooner; answers at which tick.
    pub(crate) fn schedule(&self, member: SlotRef, timer: Timer, after: Duration) -> u64 {
        let due = Due {
            slot: member.slot,
            generation: member.generation(),
            timer,
        };
        self.ticks.get() + self.wheel.borrow_mut().schedule(due, after)
    }

    /// The tick at which `after` has passed.
    pub(crate) fn tick_in(&self, after: Duration) -> u64 {
        let length = self.wheel.borrow().tick_length().as_nanos().max(1);
        let ticks = u64::try_from(after.as_nanos().div_ceil(length)).unwrap_or(u64::MAX);
        self.ticks.get().saturating_add(ticks)
    }

    /// How long a number of ticks takes.
    pub(crate) fn ticks_length(&self, ticks: u64) -> Duration {
        let length = self.wheel.borrow().tick_length();
        length.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX))
    }

    pub(crate) fn tick(&self) {
        self.ticks.set(self.ticks.get() + 1);
        let due = self.wheel.borrow_mut().advance();
        let slots = &mut self.fan_out.borrow_mut().slots;
        for Due {
            slot,
            generation,
            timer,
        } in due
        {
            if let Some(member) = slots.find(slot, generation) {
                if let Some(seat) = slots.seat_mut(member) {
                    match timer {
                        Timer::Session => seat.timer_fired = true,
                        Timer::Program => seat.program_timer_fired = true,
                    }
                }
                slots.wake(member);
            }
        }
        let window = match self.node.drain.load(Ordering::Acquire) {
            0 => return,
            millis => Duration::from_millis(millis - 1),
        };
        let now = Instant::now();
        let mut draining = self
            .draining
            .get()
            .unwrap_or_else(|| Draining::new(now, window));
        draining.advance(slots, now, window);
        self.draining.set(Some(draining));
    }
}
