//! How long to wait before the next attempt.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Doubling waits from 100 ms to 5 s. Each is cut by up to half at random, so that the nodes of a
/// cluster do not come back to a restarted server all at once.
#[derive(Debug)]
pub(in crate::redis) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(in crate::redis) fn new() -> Self {
        Self { next: FIRST }
    }

    /// The connection was good for a while: start over.
    pub(in crate::redis) fn reset(&mut self) {
        self.next = FIRST;
    }

    pub(in crate::redis) fn next(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(LONGEST);
        // Without a random source the waits are merely alike.
        let dice = getrandom::u32().unwrap_or(0);
        wait.mul_f64(1.0 - f64::from(dice) / f64::from(u32::MAX) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_keep_at_least_half() {
        let mut backoff = Backoff::new();
        let mut full = FIRST;
        for _ in 0..20 {
            let wait = backoff.next();
            assert!(wait <= full && wait >= full / 2, "{wait:?} of {full:?}");
            full = (full * 2).min(LONGEST);
        }
        backoff.reset();
        assert!(backoff.next() <= FIRST);
    }
}
