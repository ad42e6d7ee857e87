//! Waits until no task of a test's thread can run.

/// Turns of the runtime in which everything comes to rest that does not wait for time.
const TURNS: usize = 256;

/// Runs all tasks of this thread that can run, without moving the clock: frames arrive, events are
/// delivered, and handlers run until they wait for a timer or for another thread.
pub async fn settled() {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}
