//! Keeps one host connected: a task for each, until the layer is closed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::backoff::Backoff;
use super::board::Board;
use super::hosts::Host;
use super::inbox::Inbox;
use super::link::{Link, Parts};
use super::pipe::Pipe;
use super::subscriptions::Round;
use crate::PublishError;

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// A connection that lasted this long was a good one: the next attempts start quickly again.
const STEADY: Duration = Duration::from_secs(5);

/// The task of one host.
pub(super) struct Keeper {
    pub(super) host: Host,
    /// The host's place among all.
    pub(super) index: usize,
    pub(super) parts: Parts,
    pub(super) board: Arc<Board>,
    /// Turns true when the layer is closed; a layer that was dropped counts as closed.
    pub(super) closing: watch::Receiver<bool>,
    /// Goes with the task, however it ends.
    pub(super) running: Running,
}

/// One of the tasks that feed the inbox; the last one to go closes it.
pub(super) struct Running {
    pub(super) tasks: Arc<watch::Sender<usize>>,
    pub(super) inbox: Arc<Inbox>,
}

/// How a connection came to its end.
enum End {
    Lost(String),
    Closing,
}

impl Keeper {
    pub(super) async fn run(self) {
        let mut closing = self.closing.clone();
        let mut backoff = Backoff::new();
        // Whether there has ever been a connection, and whether the present outage is logged.
        let (mut was_up, mut told) = (false, false);
        loop {
            let attempt = tokio::select! {
                () = closed(&mut closing) => break,
                attempt = self.connect() => attempt,
            };
            match attempt {
                Ok((mut link, round)) => {
                    let start = Instant::now();
                    self.up(was_up);
                    // After that, so that whoever awaited a subscription can publish at once.
                    self.parts.subscriptions.acknowledged(round);
                    (was_up, told) = (true, true);
                    match self.serve(&mut link).await {
                        End::Lost(reason) => self.lost(&reason),
                        End::Closing => {
                            self.say_goodbye(&mut link).await;
                            break;
                        }
                    }
                    if start.elapsed() >= STEADY {
                        backoff.reset();
                    }
                }
                Err(reason) => {
                    self.failed(&reason, told);
                    told = true;
                }
            }
            tokio::select! {
                () = closed(&mut closing) => break,
                () = sleep(backoff.next()) => self.parts.metrics.reconnects.inc(),
            }
        }
        self.parts.pipe.refuse(PublishError::Closed);
        self.parts.subscriptions.lost();
        self.parts.subscriptions.close();
        self.board.set(self.index, false);
        drop(self.running);
    }

    async fn connect(&self) -> Result<(Link, Round), String> {
        // Anew each time: certificates are renewed under a running server.
        let client = self.host.client().map_err(|error| error.reason)?;
        let limit = self.host.connect_timeout.unwrap_or(CONNECT_LIMIT);
        Link::open(&self.parts, &client, limit).await
    }

    async fn serve(&self, link: &mut Link) -> End {
        tokio::select! {
            reason = link.serve(&self.parts) => End::Lost(reason),
            () = drained(self.closing.clone(), &self.parts.pipe, self.parts.probe) => End::Closing,
        }
    }

    async fn say_goodbye(&self, link: &mut Link) {
        let done = timeout(self.parts.probe, link.unsubscribe()).await;
        if let Err(reason) = done.unwrap_or_else(|_| Err("no answer".into())) {
            tracing::warn!(host = %self.host, reason, "redis did not take the subscriptions back");
        }
    }

    fn up(&self, again: bool) {
        if again {
            self.parts.metrics.gaps.inc();
        }
        self.parts.pipe.open();
        self.board.set(self.index, true);
        tracing::info!(host = %self.host, again, "redis is up");
    }

    fn lost(&self, reason: &str) {
        self.fail(reason);
        tracing::warn!(host = %self.host, reason, "redis is lost, connecting again");
    }

    fn failed(&self, reason: &str, told: bool) {
        self.fail(reason);
        if told {
            tracing::debug!(host = %self.host, reason, "redis is still unreachable");
        } else {
            tracing::warn!(host = %self.host, reason, "redis is unreachable, trying on");
        }
    }

    fn fail(&self, reason: &str) {
        self.parts.subscriptions.lost();
        self.parts
            .pipe
            .refuse(PublishError::Down(format!("{}: {reason}", self.host)));
        self.board.set(self.index, false);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut left = 0;
        self.tasks.send_modify(|tasks| {
            *tasks -= 1;
            left = *tasks;
        });
        if left == 0 {
            self.inbox.close();
        }
    }
}

async fn closed(closing: &mut watch::Receiver<bool>) {
    // An error means that the layer was dropped.
    let _ = closing.wait_for(|closing| *closing).await;
}

/// Waits for the close, and then for the publishes before it to be answered.
async fn drained(mut closing: watch::Receiver<bool>, pipe: &Pipe, limit: Duration) {
    closed(&mut closing).await;
    // What is not answered by now is told so when the connection goes.
    let _ = timeout(limit, pipe.idle()).await;
}
