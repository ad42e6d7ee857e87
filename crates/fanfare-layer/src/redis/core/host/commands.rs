//! The connection of one host that commands go through.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{Pipeline, ServerError, Value};
use tokio::sync::Notify;

use crate::PublishError;
use crate::redis::connection::pulse::Pulse;

/// Shared by everything that has to say something to the host. Commands are written in the order
/// of their calls and answered in it.
pub(in crate::redis::core) struct CommandConnection {
    state: Mutex<State>,
    /// Why the present connection is of no use any more.
    fault: Mutex<Option<String>>,
    faulty: Notify,
    /// The host's clock at `start`, in microseconds since 1970. This machine's own calendar, which
    /// may be set, has no part in it.
    epoch: AtomicI64,
    start: Instant,
    /// How long an answer may take.
    limit: Duration,
}

struct State {
    open: Option<Open>,
    /// Why publishers are refused, if so: also while the connection is being set up.
    refusal: Option<PublishError>,
}

#[derive(Clone)]
struct Open {
    connection: MultiplexedConnection,
    pulse: Arc<Pulse>,
}

impl CommandConnection {
    pub(in crate::redis::core) fn new(limit: Duration, unheard: PublishError) -> Self {
        Self {
            state: Mutex::new(State {
                open: None,
                refusal: Some(unheard),
            }),
            fault: Mutex::new(None),
            faulty: Notify::new(),
            epoch: AtomicI64::new(0),
            start: Instant::now(),
            limit,
        }
    }

    /// There is a connection, for whoever sets it up; publishers are still refused.
    pub(in crate::redis::core) fn prepare(&self, connection: MultiplexedConnection) {
        let pulse = Arc::new(Pulse::new());
        let mut state = self.state.lock();
        *self.fault.lock() = None;
        state.open = Some(Open { connection, pulse });
    }

    /// It is set up.
    pub(in crate::redis::core) fn accept(&self) {
        let mut state = self.state.lock();
        if state.refusal != Some(PublishError::Closed) {
            state.refusal = None;
        }
    }

    /// There is none, because of this; after a close it stays so.
    pub(in crate::redis::core) fn refuse(&self, reason: PublishError) {
        let mut state = self.state.lock();
        state.open = None;
        if state.refusal != Some(PublishError::Closed) {
            state.refusal = Some(reason);
        }
    }

    /// Why nothing can be published now, if so.
    pub(in crate::redis::core) fn check(&self) -> Result<(), PublishError> {
        self.state.lock().refusal.clone().map_or(Ok(()), Err)?;
        // The link's task may not have noticed yet.
        let fault = self.fault.lock().clone();
        fault.map_or(Ok(()), |reason| Err(PublishError::Down(reason)))
    }

    fn connection(&self) -> Result<Open, PublishError> {
        let state = self.state.lock();
        let refusal = || state.refusal.clone().unwrap_or(PublishError::Closed);
        state.open.clone().ok_or_else(refusal)
    }

    /// Sends commands and waits for all their answers, of which each may be an error of the server.
    ///
    /// # Errors
    /// `Down` when nothing was sent, `Unanswered` when something may have been.
    pub(in crate::redis::core) async fn ask(
        &self,
        commands: &Pipeline,
    ) -> Result<Vec<Value>, PublishError> {
        let mut open = self.connection()?;
        let count = commands.len();
        if count == 0 {
            return Ok(Vec::new());
        }
        let sent = open.connection.send_packed_commands(commands, 0, count);
        let reason = match open.pulse.wait(self.limit, sent).await {
            Some(Ok(answers)) => {
                open.pulse.beat();
                self.look_for_faults(&open, &answers);
                return Ok(answers);
            }
            Some(Err(error)) => error.to_string(),
            None => format!("no answer within {:?}", self.limit),
        };
        self.fail(&open, &reason);
        Err(PublishError::Unanswered(reason))
    }

    /// A connection is of no use any more. What was asked over the one before is often given up
    /// when there is a new one already, which is none the worse for it.
    fn fail(&self, failed: &Open, reason: &str) {
        let state = self.state.lock();
        let present = state.open.as_ref();
        if present.is_none_or(|open| !Arc::ptr_eq(&open.pulse, &failed.pulse)) {
            return;
        }
        *self.fault.lock() = Some(reason.to_owned());
        drop(state);
        self.faulty.notify_one();
    }

    /// Waits until the connection is of no use any more; says why.
    pub(in crate::redis::core) async fn failure(&self) -> String {
        loop {
            if let Some(reason) = self.fault.lock().clone() {
                return reason;
            }
            self.faulty.notified().await;
        }
    }

    /// The host's time in seconds since 1970, as it goes on from what the host said last.
    pub(in crate::redis::core) fn now(&self) -> f64 {
        (self.epoch.load(Ordering::Relaxed) + self.elapsed()) as f64 / 1e6
    }

    /// The host said its time.
    pub(in crate::redis::core) fn set_clock(&self, seconds: i64, micros: i64) {
        let epoch = seconds * 1_000_000 + micros - self.elapsed();
        self.epoch.store(epoch, Ordering::Relaxed);
    }

    fn elapsed(&self) -> i64 {
        i64::try_from(self.start.elapsed().as_micros()).unwrap_or(i64::MAX)
    }

    /// A server that takes no writes any more or has no data now (a master that was demoted), or
    /// that has forgotten our scripts, must be looked for, or set up, again.
    fn look_for_faults(&self, open: &Open, answers: &[Value]) {
        let fatal = answers.iter().find_map(|answer| match answer {
            Value::ServerError(error) if is_fault(error) => Some(error.to_string()),
            _ => None,
        });
        if let Some(reason) = fatal {
            self.fail(open, &reason);
        }
    }
}

/// Whether an error is the server's, whatever it was asked: nothing was done.
pub(in crate::redis::core) fn is_fault(error: &ServerError) -> bool {
    matches!(
        error.code(),
        "READONLY" | "NOSCRIPT" | "MASTERDOWN" | "LOADING"
    )
}
