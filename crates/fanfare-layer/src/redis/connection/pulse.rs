//! Telling a connection that is slow from one that is dead.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::time::timeout_at;

/// When a connection gave its last sign of life, in microseconds since its start.
pub(in crate::redis) struct Pulse {
    start: Instant,
    last: AtomicU64,
}

impl Pulse {
    pub(in crate::redis) fn new() -> Self {
        Self {
            start: Instant::now(),
            last: AtomicU64::new(0),
        }
    }

    pub(in crate::redis) fn beat(&self) {
        let since = self.start.elapsed().as_micros();
        self.last
            .store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Waits for something that the connection brings, as long as it brings anything at all:
    /// `None` once it has been silent for `limit`.
    ///
    /// A silence that this process slept through itself, because it was stopped or its thread
    /// was busy, says nothing: what came meanwhile is not read yet. The wait starts over.
    pub(in crate::redis) async fn wait<T>(
        &self,
        limit: Duration,
        what: impl Future<Output = T>,
    ) -> Option<T> {
        let mut what = pin!(what);
        let mut since = Instant::now();
        loop {
            let deadline = since.max(self.last()) + limit;
            if let Ok(it) = timeout_at(deadline.into(), &mut what).await {
                return Some(it);
            }
            let overslept = deadline.elapsed();
            if overslept > limit / 2 {
                since = Instant::now();
            } else if self.last() + limit <= Instant::now() {
                return None;
            }
        }
    }

    fn last(&self) -> Instant {
        self.start + Duration::from_micros(self.last.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use std::future;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(60);

    #[tokio::test]
    async fn a_silent_connection_is_given_up_and_a_slow_one_is_not() {
        let pulse = Pulse::new();
        let silent = Instant::now();
        assert_eq!(pulse.wait(LIMIT, future::pending::<()>()).await, None);
        assert!(silent.elapsed() >= LIMIT);
        let start = Instant::now();
        let beats = async {
            let mut tick = tokio::time::interval(LIMIT / 6);
            while start.elapsed() < LIMIT * 5 {
                tick.tick().await;
                pulse.beat();
            }
        };
        let (waited, ()) = tokio::join!(pulse.wait(LIMIT, future::pending::<()>()), beats);
        assert_eq!(waited, None);
        assert!(start.elapsed() >= LIMIT * 5, "{:?}", start.elapsed());
    }

    #[tokio::test]
    async fn a_silence_that_was_slept_through_is_not_held_against_the_connection() {
        let pulse = Pulse::new();
        let (answer, answered) = tokio::sync::oneshot::channel();
        let wait = pulse.wait(LIMIT, answered);
        let stall = async {
            let start = Instant::now();
            while start.elapsed() < LIMIT * 3 {
                std::hint::spin_loop();
            }
            // The answer was there all the time, but its reader is polled after who waits for it. The
            // timer orders the two: tokio fires what was due earlier first.
            tokio::time::sleep(Duration::from_millis(1)).await;
            answer.send(()).unwrap();
        };
        assert_eq!(tokio::join!(wait, stall).0, Some(Ok(())));
    }
}
