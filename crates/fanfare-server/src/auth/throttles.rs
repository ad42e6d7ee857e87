//! What is wrong with the application, logged once in a while instead of once for each client.

use std::collections::HashMap;

use fanfare_layer::Throttle;
use parking_lot::Mutex;

use crate::metrics::AuthOutcome;
use crate::shown::Cut;

/// A throttle for each cause.
#[derive(Default)]
pub(super) struct Throttles(Mutex<HashMap<AuthOutcome, Throttle>>);

impl Throttles {
    /// Logs what is wrong, unless the same cause was logged a moment ago.
    pub(super) fn log(&self, cause: AuthOutcome, what: &str) {
        let Some(count) = self.0.lock().entry(cause).or_default().admit(1) else {
            return;
        };
        let (cause, unsaid) = (cause.text(), count - 1);
        tracing::error!(
            cause,
            unsaid,
            "a websocket was refused because auth.url gave no answer: {}",
            Cut(what)
        );
    }
}

#[cfg(test)]
mod tests {
    use fanfare_rig::Logs;

    use super::*;

    #[test]
    fn each_cause_has_a_line_of_its_own_and_not_one_for_each_client() {
        let logs = Logs::of_this_thread();
        let throttles = Throttles::default();
        for _ in 0..3 {
            throttles.log(AuthOutcome::Timeout, "late");
            throttles.log(AuthOutcome::Busy, "busy");
        }
        let long = "x".repeat(60_000);
        throttles.log(AuthOutcome::BadAnswer, &long);
        let lines = logs.take();
        assert!(
            lines.contains("xx\u{2026} (59800 more characters)"),
            "{lines}"
        );
        assert_eq!(lines.matches("no answer: late").count(), 1, "{lines}");
        assert_eq!(lines.matches("no answer: busy").count(), 1, "{lines}");
    }
}
