//! Waiting for what tells nobody when it changes: files under `/proc`.

use std::time::{Duration, Instant};

/// Blocks this thread.
#[expect(
    clippy::disallowed_methods,
    reason = "the loader has one thread and no sessions, and /proc has no event to wait for"
)]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Asks `done` every `step` until it answers true or `limit` has passed; answers which.
///
/// # Errors
/// What `done` answers.
pub(crate) fn poll_until(
    limit: Duration,
    step: Duration,
    mut done: impl FnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<bool> {
    let start = Instant::now();
    loop {
        if done()? {
            return Ok(true);
        }
        if start.elapsed() >= limit {
            return Ok(false);
        }
        pause(step);
    }
}
