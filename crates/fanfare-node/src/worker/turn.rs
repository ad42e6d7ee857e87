//! How long a task may go on before it lets the others of its thread go on.

use std::pin::pin;
use std::task::Context;
use std::time::{Duration, Instant};

/// The length of a slice: of a fan-out, and of what takes turns in the run queue.
pub(crate) const SLICE: Duration = Duration::from_micros(500);
/// The length of a turn that comes from no queue.
const FIRST: Duration = Duration::from_micros(250);
/// Steps of a turn that comes from no queue.
const FIRST_STEPS: u32 = 128;
/// Steps between two looks at the clock.
const STRIDE: u32 = 8;

/// What a task may do at one go. The clock is read once in a few steps, and not at all in the turn
/// of a task that has little to do.
#[derive(Debug)]
pub struct Turn {
    /// Steps until the next look at the clock.
    stride: u32,
    /// Steps that are left.
    steps: u32,
    length: Duration,
    /// Since the first look at the clock.
    started: Option<Instant>,
}

impl Turn {
    /// The turn of a task that has just been woken: at most 128 steps or a quarter of a millisecond.
    /// What it has to do beyond that it does in turns of the run queue.
    pub const fn first() -> Self {
        Self {
            stride: STRIDE,
            steps: FIRST_STEPS,
            length: FIRST,
            started: None,
        }
    }

    /// A turn of the run queue: half a millisecond.
    pub const fn queued() -> Self {
        Self {
            stride: STRIDE,
            steps: u32::MAX,
            length: SLICE,
            started: None,
        }
    }

    /// Counts a step, such as a message; whether the turn is over.
    #[inline]
    pub fn step(&mut self) -> bool {
        self.steps = self.steps.saturating_sub(1);
        self.stride -= 1;
        self.steps == 0 || (self.stride == 0 && self.look())
    }

    /// Looks at the clock after a step that may take long by itself; whether the turn is over.
    #[cold]
    pub fn look(&mut self) -> bool {
        self.stride = STRIDE;
        let now = Instant::now();
        let started = *self.started.get_or_insert(now);
        now.saturating_duration_since(started) >= self.length
    }
}

/// Has a task woken once the runtime has looked at its sockets. A task that wakes itself is polled
/// before that, and so are all others that are ready.
pub fn wake_after_look(context: &mut Context<'_>) {
    // The first poll of a yield is always pending, and the runtime keeps the waker beyond it.
    let _pending = pin!(tokio::task::yield_now()).poll(context);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_that_comes_from_no_queue_ends_after_its_steps_however_fast_they_are() {
        let mut turn = Turn::first();
        let steps = (1..=1000).find(|_| turn.step());
        assert!(steps.is_some_and(|steps| steps <= 128), "{steps:?}");
    }

    #[test]
    fn a_turn_ends_by_the_clock_when_its_steps_are_slow() {
        let mut turn = Turn::queued();
        assert!(!turn.look(), "it has begun");
        let started = Instant::now();
        while started.elapsed() < SLICE {
            std::hint::spin_loop();
        }
        assert_eq!((1..=STRIDE).find(|_| turn.step()), Some(STRIDE));
    }
}
