//! The timers of a program: any number of them behind one timer of the thread's wheel.

use std::time::Duration;

use super::Mailbox;
use crate::worker::Timer;

/// Timers of a program.
pub(super) struct Timers {
    /// The tick at which each ends, and its number.
    due: Vec<(u64, u32)>,
    /// The tick at which the wheel fires next for them.
    armed: u64,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            due: Vec::new(),
            armed: u64::MAX,
        }
    }
}

impl Mailbox {
    /// Sets a timer, whose end is [`Input::Timer`](crate::Input::Timer) with this number. It ends up to a tick of the
    /// thread's clock late: a tenth of the shortest of ping interval, ping timeout and close
    /// timeout, from 5 to 250 ms. A timer of this number that has not ended is set anew.
    pub fn timer(&self, after: Duration, id: u32) {
        let due = self.worker.tick_in(after);
        let mut uncommon = self.uncommon.borrow_mut();
        let timers = &mut uncommon.get_or_insert_default().timers;
        timers.due.retain(|(_, other)| *other != id);
        timers.due.push((due, id));
        self.arm(timers, due);
    }

    /// Timers have ended.
    pub(crate) fn fire_timers(&self) {
        let now = self.worker.ticks.get();
        let mut uncommon = self.uncommon.borrow_mut();
        let timers = &mut uncommon.get_or_insert_default().timers;
        if now < timers.armed {
            // Set for a timer that was set anew since.
            return;
        }
        timers.armed = u64::MAX;
        timers.due.sort_by_key(|(due, _)| *due);
        let ended = timers.due.partition_point(|(due, _)| *due <= now);
        let mut queue = self.state.queue.borrow_mut();
        timers
            .due
            .drain(..ended)
            .for_each(|(_, id)| queue.push_timer(id));
        if let Some((due, _)) = timers.due.first().copied() {
            self.arm(timers, due);
        }
    }

    /// Sees to it that the thread's wheel fires at `due`, or before.
    fn arm(&self, timers: &mut Timers, due: u64) {
        if due < timers.armed {
            let after = due.saturating_sub(self.worker.ticks.get());
            let after = self.worker.ticks_length(after);
            timers.armed = self.worker.schedule(self.member, Timer::Program, after);
        }
    }
}
