//! Log lines about something that may happen thousands of times a second.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// At most one line in this time.
const PAUSE: Duration = Duration::from_secs(10);

/// Lets one log line through in ten seconds and counts what happened without a line.
#[derive(Debug, Default)]
pub struct Throttle {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the last line was let through.
    last: Option<Instant>,
    /// What happened since then.
    unsaid: u64,
}

impl Throttle {
    /// Has let no line through yet.
    pub const fn new() -> Self {
        Self {
            state: parking_lot::const_mutex(State {
                last: None,
                unsaid: 0,
            }),
        }
    }

    /// Counts `count` occurrences. Where a line may be written now, answers how many there were
    /// since the last line, these included.
    pub fn admit(&self, count: u64) -> Option<u64> {
        self.admit_at(Instant::now(), count)
    }

    fn admit_at(&self, now: Instant, count: u64) -> Option<u64> {
        let mut state = self.state.lock();
        state.unsaid += count;
        let last = state.last;
        if last.is_some_and(|last| now.duration_since(last) < PAUSE) {
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_in_ten_seconds_says_how_often_it_happened() {
        let throttle = Throttle::default();
        let start = Instant::now();
        assert_eq!(throttle.admit_at(start, 1), Some(1));
        assert_eq!(throttle.admit_at(start + PAUSE / 2, 2), None);
        assert_eq!(throttle.admit_at(start + PAUSE / 2, 3), None);
        assert_eq!(throttle.admit_at(start + PAUSE, 1), Some(6));
        assert_eq!(throttle.admit_at(start + PAUSE, 1), None);
    }
}
