//! One timer wheel per worker thread, instead of a timer per session.

use std::time::Duration;

/// Rounds are this many ticks; a timer that is due later is asked about once a round.
const BUCKETS: usize = 256;

/// Hashed timing wheel of (slot, generation), one entry per session.
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

    /// Fires in `after`, or at the end of the round when that is sooner.
    pub(crate) fn schedule(&mut self, slot: u32, generation: u32, after: Duration) {
        let ticks = after.as_nanos().div_ceil(self.length.as_nanos().max(1));
        let ticks = u64::try_from(ticks)
            .unwrap_or(u64::MAX)
            .clamp(1, BUCKETS as u64 - 1);
        let bucket = (self.tick + ticks) % BUCKETS as u64;
        if let Some(bucket) = usize::try_from(bucket)
            .ok()
            .and_then(|at| self.buckets.get_mut(at))
        {
            bucket.push((slot, generation));
        }
    }

    /// Advances by one tick; answers who is due.
    pub(crate) fn advance(&mut self) -> Vec<(u32, u32)> {
        self.tick += 1;
        let at = usize::try_from(self.tick % BUCKETS as u64).unwrap_or(0);
        self.buckets
            .get_mut(at)
            .map(std::mem::take)
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_fires_once_and_not_early() {
        let mut wheel = Wheel::new(Duration::from_millis(10));
        wheel.schedule(7, 1, Duration::from_millis(25));
        assert_eq!(wheel.advance(), []);
        assert_eq!(wheel.advance(), []);
        assert_eq!(wheel.advance(), [(7, 1)]);
        for _ in 0..600 {
            assert_eq!(wheel.advance(), []);
        }
    }

    #[test]
    fn a_timer_beyond_the_round_fires_at_its_end() {
        let mut wheel = Wheel::new(Duration::from_millis(1));
        wheel.schedule(1, 1, Duration::from_secs(60));
        let fired = (1..=BUCKETS).find(|_| !wheel.advance().is_empty());
        assert_eq!(fired, Some(BUCKETS - 1));
    }
}
