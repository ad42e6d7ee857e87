//! One timer wheel per worker thread, instead of a timer per session.

use std::time::Duration;

/// Rounds are this many ticks; a timer that is due later is asked about once a round.
const BUCKETS: usize = 256;

/// Which of a session's timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timer {
    /// The session's own, for pings and closes.
    Session,
    /// Its program's.
    Program,
}

/// A timer of whoever sits in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) slot: u32,
    pub(super) generation: u32,
    pub(super) timer: Timer,
}

/// A hashed timing wheel. An entry is a slot, and a generation with the kind of the timer in its
/// lowest bit: generations have 31 bits.
pub(crate) struct Wheel {
    buckets: Vec<Vec<(u32, u32)>>,
    tick: u64,
    length: Duration,
}

impl Wheel {
    /// `length` is the length of a tick: timers fire up to that much late.
    pub(crate) fn new(length: Duration) -> Self {
        Self {
            buckets: vec![Vec::new(); BUCKETS],
            tick: 0,
            length,
        }
    }

    pub(crate) fn tick_length(&self) -> Duration {
        self.length
    }

    /// Fires in `after`, or at the end of the round when that is sooner; answers in how many ticks.
    pub(super) fn schedule(&mut self, due: Due, after: Duration) -> u64 {
        let ticks = after.as_nanos().div_ceil(self.length.as_nanos().max(1));
        let ticks = u64::try_from(ticks)
            .unwrap_or(u64::MAX)
            .clamp(1, BUCKETS as u64 - 1);
        let bucket = (self.tick + ticks) % BUCKETS as u64;
        if let Some(bucket) = usize::try_from(bucket)
            .ok()
            .and_then(|at| self.buckets.get_mut(at))
        {
            let program = u32::from(due.timer == Timer::Program);
            bucket.push((due.slot, due.generation << 1 | program));
        }
        ticks
    }

    /// Advances by one tick; answers who is due.
    pub(super) fn advance(&mut self) -> impl Iterator<Item = Due> + use<> {
        self.tick += 1;
        let at = usize::try_from(self.tick % BUCKETS as u64).unwrap_or(0);
        let due = self.buckets.get_mut(at).map(std::mem::take);
        due.unwrap_or_default().into_iter().map(|(slot, word)| Due {
            slot,
            generation: word >> 1,
            timer: match word & 1 {
                0 => Timer::Session,
                _ => Timer::Program,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUE: Due = Due {
        slot: 7,
        generation: (1 << 31) - 1,
        timer: Timer::Program,
    };

    fn advance(wheel: &mut Wheel) -> Vec<Due> {
        wheel.advance().collect()
    }

    #[test]
    fn a_timer_fires_once_and_not_early() {
        let mut wheel = Wheel::new(Duration::from_millis(10));
        wheel.schedule(DUE, Duration::from_millis(25));
        assert_eq!(advance(&mut wheel), []);
        assert_eq!(advance(&mut wheel), []);
        assert_eq!(advance(&mut wheel), [DUE]);
        for _ in 0..600 {
            assert_eq!(advance(&mut wheel), []);
        }
    }

    #[test]
    fn a_timer_beyond_the_round_fires_at_its_end() {
        let mut wheel = Wheel::new(Duration::from_millis(1));
        wheel.schedule(DUE, Duration::from_secs(60));
        let fired = (1..=BUCKETS).find(|_| !advance(&mut wheel).is_empty());
        assert_eq!(fired, Some(BUCKETS - 1));
    }
}
