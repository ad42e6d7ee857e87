//! How fast a client may send: above its rate, the session does not read its socket for a while.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use prometheus::IntGauge;
use tokio::time::{Instant, Sleep, sleep};

use super::Session;
use super::ending::Phase;
use crate::metrics::Throttled;
use crate::options::Limits;

/// The shortest pause, as long as what may come at once lasts for it: a session that is read again
/// for every message costs more than one that is read for several.
const SHORTEST: Duration = Duration::from_millis(10);
/// In nanoseconds.
const SECOND: u64 = 1_000_000_000;
/// In seconds.
const DAY: u64 = 24 * 3600;
/// What a client has sent so far, as positions on the scales of [`Allowance`]. A client that sends
/// less than its rate is not behind: its position is that of now.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    messages: u64,
    bytes: u64,
}

/// What a session may send until now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowance {
    messages: Scale,
    bytes: Scale,
    /// For a message that is not complete: it may be as large as a message may be.
    parts: Scale,
}

/// A rate, and how much a client would have sent at that rate since the start of its thread (GCRA in
/// its virtual scheduling, ITU-T I.371 annex A, with one message or byte as the unit of time).
#[derive(Debug, Clone, Copy)]
struct Scale {
    /// In a second; 0 is no limit.
    rate: u64,
    /// How far a client may be ahead.
    most: u64,
    now: u64,
}

/// A pause in reading.
pub(super) struct Pause {
    sleep: Pin<Box<Sleep>>,
    /// Counts the sessions that pause.
    sessions: IntGauge,
}

impl Allowance {
    /// After `elapsed` on the thread. The clock is read only if there is a limit.
    fn new(limits: &Limits, elapsed: impl FnOnce() -> Duration) -> Self {
        let rate = &limits.rate;
        let is_limited = rate.messages_per_second > 0 || rate.bytes_per_second > 0;
        let elapsed = if is_limited {
            elapsed()
        } else {
            Duration::ZERO
        };
        let second = rate.bytes_per_second;
        let bytes = Scale::new(second, second.into(), elapsed);
        Self {
            messages: Scale::new(rate.messages_per_second, rate.burst.max(1).into(), elapsed),
            parts: Scale {
                most: bytes.most.saturating_add(limits.message_bytes as u64),
                ..bytes
            },
            bytes,
        }
    }
}

impl Scale {
    fn new(rate: u32, most: u64, elapsed: Duration) -> Self {
        let rate = u64::from(rate);
        let part = u64::from(elapsed.subsec_nanos()) * rate / SECOND;
        Self {
            rate,
            most,
            now: elapsed.as_secs() * rate + part,
        }
    }

    /// Moves a client's position on by what it has sent; answers how long it has to pause.
    fn take(&self, position: &mut u64, count: u64) -> Option<Duration> {
        if self.rate == 0 {
            return None;
        }
        *position = (*position).max(self.now).saturating_add(count);
        let over = (*position - self.now).checked_sub(self.most)?;
        let shortest = SHORTEST.min(self.lasts(self.most));
        Some(self.lasts(over + 1).max(shortest))
    }

    /// How long a count lasts at this rate, at most a day.
    fn lasts(&self, count: u64) -> Duration {
        let count = count.min(self.rate.saturating_mul(DAY));
        Duration::from_secs(count / self.rate)
            + Duration::from_nanos(count % self.rate * SECOND / self.rate)
    }
}

impl Pace {
    /// Counts messages and bytes; answers how long to pause if they were too many.
    pub(super) fn take(
        &mut self,
        allowance: &Allowance,
        messages: u32,
        bytes: usize,
    ) -> Option<Duration> {
        let messages = allowance.messages.take(&mut self.messages, messages.into());
        let bytes = allowance.bytes.take(&mut self.bytes, bytes as u64);
        messages.max(bytes)
    }

    /// The same for bytes of a message that is not complete. It is read to its end, unless it has no
    /// end.
    pub(super) fn take_part(&mut self, allowance: &Allowance, bytes: usize) -> Option<Duration> {
        allowance.parts.take(&mut self.bytes, bytes as u64)
    }
}

impl Pause {
    fn new(length: Duration, throttled: &Throttled) -> Self {
        throttled.pauses.inc();
        throttled.sessions.inc();
        Self {
            sleep: Box::pin(sleep(length)),
            sessions: throttled.sessions.clone(),
        }
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        self.sessions.dec();
    }
}

impl Session {
    /// What the client may send until now.
    pub(super) fn allowance(&self) -> Allowance {
        let worker = &self.place.worker;
        let limits = &worker.node().options.limits;
        Allowance::new(limits, || Instant::now().duration_since(worker.started()))
    }

    /// Does not read for so long, if it is open.
    pub(super) fn pause(&mut self, length: Option<Duration>) -> bool {
        if let Some(length) = length
            && self.phase == Phase::Open
        {
            let throttled = &self.place.worker.node().metrics.throttled;
            self.pause = Some(Box::new(Pause::new(length, throttled)));
        }
        self.pause.is_some()
    }

    /// Ready when the session may read.
    pub(super) fn poll_pause(&mut self, task: &mut TaskContext<'_>) -> Poll<()> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.sleep.as_mut().poll(task));
            self.pause = None;
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::RateLimits;

    const MESSAGE: usize = 1000;

    fn limits(messages: u32, bytes: u32, burst: u32) -> Limits {
        Limits {
            message_bytes: MESSAGE,
            rate: RateLimits {
                messages_per_second: messages,
                bytes_per_second: bytes,
                burst,
                ..RateLimits::OFF
            },
            ..Limits::default()
        }
    }

    fn at(limits: &Limits, millis: u64) -> Allowance {
        Allowance::new(limits, || Duration::from_millis(millis))
    }

    /// Takes messages of one byte until there is a pause; answers how many, and the pause.
    fn until_pause(pace: &mut Pace, allowance: &Allowance) -> (u32, Duration) {
        (1..)
            .find_map(|count| Some((count, pace.take(allowance, 1, 1)?)))
            .unwrap()
    }

    #[test]
    fn a_burst_may_come_at_once_and_then_what_the_rate_gives() {
        let limits = limits(100, 0, 10);
        let mut pace = Pace::default();
        let ten_ms = Duration::from_millis(10);
        assert_eq!(until_pause(&mut pace, &at(&limits, 5000)), (10, ten_ms));
        assert_eq!(until_pause(&mut pace, &at(&limits, 5010)), (1, ten_ms));
        assert_eq!(until_pause(&mut pace, &at(&limits, 5060)), (5, ten_ms));
        // However long it was silent.
        assert_eq!(
            until_pause(&mut pace, &at(&limits, 9_999_000)),
            (10, ten_ms)
        );
    }

    #[test]
    fn a_pause_is_not_so_short_that_it_costs_more_than_it_saves() {
        let pause = |messages, burst| {
            let limits = limits(messages, 0, burst);
            until_pause(&mut Pace::default(), &at(&limits, 1)).1
        };
        assert_eq!(pause(5000, 1000), SHORTEST);
        // But never longer than what may come at once lasts: the rate would not be reached.
        assert_eq!(pause(1000, 1), Duration::from_millis(1));
        assert_eq!(pause(1, 1), Duration::from_secs(1));
    }

    #[test]
    fn the_bytes_of_a_second_may_come_at_once_and_a_message_to_its_end() {
        let limits = limits(0, 5000, 1);
        let taken = |bytes| Pace::default().take(&at(&limits, 7), 1, bytes);
        assert_eq!(taken(4999), None);
        assert_eq!(taken(7499), Some(Duration::from_millis(500)));
        let mut pace = Pace::default();
        let part = |pace: &mut Pace, bytes| pace.take_part(&at(&limits, 7), bytes);
        assert_eq!(part(&mut pace, 5000 + MESSAGE - 1), None);
        let half = Some(Duration::from_millis(500));
        assert_eq!(part(&mut pace, 2500), half);
    }

    #[test]
    fn without_limits_nothing_is_counted_and_extreme_ones_are_no_panic() {
        let none = limits(0, 0, 1);
        assert_eq!(Pace::default().take(&at(&none, 7), 1, usize::MAX), None);
        let clock = Allowance::new(&none, || panic!("the clock is read"));
        assert_eq!(Pace::default().take(&clock, 1, 1), None);
        let slow = limits(1, 1, u32::MAX);
        let pause = Pace::default().take(&at(&slow, 7), u32::MAX, usize::MAX);
        assert_eq!(pause, Some(Duration::from_secs(DAY)));
        let fast = limits(u32::MAX, u32::MAX, 1);
        let years = Allowance::new(&fast, || Duration::from_secs(1 << 31));
        assert!(Pace::default().take(&years, 1, 1).is_some());
    }
}
