//! Supervision by factory: an actor that panics is built anew.
//!
//! actix catches a panicking actor's task and drops it. What the actor needs to go on lives
//! outside of it, so the replacement starts from that, not from the state that panicked.

use std::time::{Duration, Instant};

use actix::{Actor, Addr, Context};
use prometheus::IntCounter;
use tokio::sync::oneshot;

/// The first pause before a rebuild; it doubles while rebuilt actors die young.
const PAUSE: Duration = Duration::from_millis(1);
/// The longest pause: a panic is survived within a second.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// An actor that lived this long has recovered.
const RECOVERED: Duration = Duration::from_secs(5);

/// Held by a supervised actor, and dropped with it. A supervised actor stops by itself only when it
/// has ended, so otherwise that means a panic; and actix calls `stopped` then too, which therefore
/// tells nothing.
pub(crate) struct Lifeline(
    #[expect(dead_code, reason = "its drop is the message")] oneshot::Sender<()>,
);

/// Starts an actor on this thread and rebuilds it whenever it panics, until it `has_ended`. `build`
/// is told how often it has been called before since the actor last recovered.
pub(crate) fn supervise<A>(
    name: &'static str,
    restarts: IntCounter,
    mut build: impl FnMut(Lifeline, u32) -> A + 'static,
    mut started: impl FnMut(Addr<A>) + 'static,
    has_ended: impl Fn() -> bool + 'static,
) where
    A: Actor<Context = Context<A>>,
{
    actix_rt::spawn(async move {
        let mut pause = PAUSE;
        let mut failures = 0;
        loop {
            let born = Instant::now();
            let (alive, end) = oneshot::channel();
            started(build(Lifeline(alive), failures).start());
            // Ends with an error when the actor drops its lifeline; nothing is ever sent.
            let _dropped = end.await;
            if has_ended() {
                return;
            }
            restarts.inc();
            if born.elapsed() >= RECOVERED {
                pause = PAUSE;
                failures = 0;
            }
            failures += 1;
            tracing::error!(actor = name, failures, "an actor panicked and is rebuilt");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    });
}

/// Makes the actor that handles it panic.
#[cfg(feature = "fault")]
#[derive(Debug, Clone, Copy)]
pub struct Crash;

#[cfg(feature = "fault")]
impl actix::Message for Crash {
    type Result = ();
}
