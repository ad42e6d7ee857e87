//! What is wrong with the application, said once in a while instead of once for each client.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::metrics::AuthOutcome;

/// Between two lines about the same cause.
const PAUSE: Duration = Duration::from_secs(10);

/// When each cause was last written about, and how often it came back since.
#[derive(Default)]
pub(super) struct Complaints(Mutex<HashMap<AuthOutcome, (Instant, u64)>>);

impl Complaints {
    /// Logs what is wrong, unless the same cause was logged a moment ago.
    pub(super) fn log(&self, cause: AuthOutcome, what: &str) {
        if let Some(unsaid) = self.turn(cause) {
            let cause = cause.text();
            tracing::error!(
                cause,
                unsaid,
                "a websocket was refused because auth.url gave no answer: {what}"
            );
        }
    }

    /// How many were not written about since the last line, when one is due.
    fn turn(&self, cause: AuthOutcome) -> Option<u64> {
        let now = Instant::now();
        let mut said = self.0.lock();
        match said.get_mut(&cause) {
            Some((at, unsaid)) if now - *at < PAUSE => {
                *unsaid += 1;
                None
            }
            Some(entry) => Some(std::mem::replace(entry, (now, 0)).1),
            None => {
                said.insert(cause, (now, 0));
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_cause_has_a_line_in_a_pause_and_the_next_one_says_how_many_went_without() {
        let complaints = Complaints::default();
        assert_eq!(complaints.turn(AuthOutcome::Timeout), Some(0));
        assert_eq!(complaints.turn(AuthOutcome::Timeout), None);
        assert_eq!(complaints.turn(AuthOutcome::Timeout), None);
        assert_eq!(complaints.turn(AuthOutcome::Busy), Some(0));
        tokio::time::advance(PAUSE).await;
        assert_eq!(complaints.turn(AuthOutcome::Timeout), Some(2));
        assert_eq!(complaints.turn(AuthOutcome::Timeout), None);
    }
}
