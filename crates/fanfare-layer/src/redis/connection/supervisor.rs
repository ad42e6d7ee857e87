//! Keeps one host connected: a task for each, until the layer is closed.

use std::mem;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::backoff::Backoff;
use super::status::HostStatus;
use super::subscriptions::{Round, Subscriptions};
use crate::redis::hosts::host::Host;
use crate::{LayerMetrics, PublishError};

/// A connection that lasted this long was a good one: the next attempts start quickly again.
const STEADY: Duration = Duration::from_secs(5);

/// One format's use of one host.
pub(in crate::redis) trait Backend: Send + Sync + 'static {
    /// Its open connections, with everything subscribed.
    type Link: Send;

    /// Connects and subscribes to all that is wanted. The round comes back acknowledged by Redis;
    /// whoever waits for it is told by the keeper, when the host takes publishes too.
    fn open(
        &self,
        client: redis::Client,
        connect_limit: Duration,
    ) -> impl Future<Output = Result<(Self::Link, Round), String>> + Send;

    /// Whether what was published while there was no connection is missing.
    fn has_gap(&self, link: &Self::Link) -> bool;

    /// The host takes publishes.
    fn accept(&self);

    /// The host takes no publishes.
    fn refuse(&self, reason: PublishError);

    /// Works until the connection is lost; says why.
    fn serve(&self, link: &mut Self::Link) -> impl Future<Output = String> + Send;

    /// Waits until every publish that was taken is answered.
    fn idle(&self) -> impl Future<Output = ()> + Send;

    /// Takes everything back that this node has on the host.
    fn leave(&self, link: &mut Self::Link) -> impl Future<Output = Result<(), String>> + Send;

    /// Ends the connections. When it returns, nothing of them arrives any more: the next link
    /// could bring the same messages.
    fn end(&self, link: Self::Link) -> impl Future<Output = ()> + Send;
}

/// The task of one host.
pub(in crate::redis) struct HostSupervisor<B> {
    pub(in crate::redis) backend: B,
    pub(in crate::redis) host: Host,
    /// The host's place among all.
    pub(in crate::redis) index: usize,
    pub(in crate::redis) subscriptions: Arc<Subscriptions>,
    pub(in crate::redis) metrics: LayerMetrics,
    /// How long an answer may take.
    pub(in crate::redis) limit: Duration,
    pub(in crate::redis) status: Arc<HostStatus>,
    /// Turns true when the layer is closed; a layer that was dropped counts as closed.
    pub(in crate::redis) closing: watch::Receiver<bool>,
    /// Goes with the task, however it ends.
    pub(in crate::redis) running: Running,
}

/// One of the tasks that feed the inbox.
pub(in crate::redis) struct Running {
    pub(in crate::redis) tasks: Arc<watch::Sender<usize>>,
    /// Called when the last one goes.
    pub(in crate::redis) last: Arc<dyn Fn() + Send + Sync>,
}

/// What a keeper remembers from one connection to the next.
struct Past {
    backoff: Backoff,
    /// Whether there has ever been a connection.
    was_up: bool,
    /// Why there is no connection, as it was logged last.
    told: Option<String>,
}

/// What comes after a connection.
enum Turn {
    Again,
    Closing,
}

/// How a connection came to its end.
enum End {
    Lost(String),
    Closing,
}

impl<B: Backend> HostSupervisor<B> {
    pub(in crate::redis) async fn run(self) {
        let mut closing = self.closing.clone();
        let mut past = Past::default();
        loop {
            // A panic must not leave a host that looks up and that nobody serves.
            let turn = AssertUnwindSafe(self.turn(&mut past, &mut closing));
            match turn.catch_unwind().await {
                Ok(Turn::Closing) => break,
                Ok(Turn::Again) => {}
                Err(_) => {
                    self.fail("its keeper panicked");
                    tracing::error!(host = %self.host, "the keeper of a host panicked, starting over");
                }
            }
            tokio::select! {
                () = closed(&mut closing) => break,
                () = sleep(past.backoff.next()) => self.metrics.reconnects.inc(),
            }
        }
        self.backend.refuse(PublishError::Closed);
        self.subscriptions.lost();
        self.subscriptions.close();
        self.status.set(self.index, Err("the layer is closed"));
        drop(self.running);
    }

    /// One connection, from the attempt to its end.
    async fn turn(&self, past: &mut Past, closing: &mut watch::Receiver<bool>) -> Turn {
        let attempt = tokio::select! {
            () = closed(closing) => return Turn::Closing,
            attempt = self.connect() => attempt,
        };
        let (mut link, round) = match attempt {
            Ok(connected) => connected,
            Err(reason) => {
                self.failed(&reason, past);
                return Turn::Again;
            }
        };
        let start = Instant::now();
        past.told = None;
        let again = mem::replace(&mut past.was_up, true);
        if again && self.backend.has_gap(&link) {
            self.metrics.gaps.inc();
        }
        self.up(again);
        // After that, so that whoever awaited a subscription can publish at once.
        self.subscriptions.acknowledged(round);
        match self.serve(&mut link).await {
            End::Lost(reason) => past.told = Some(self.lost(&reason)),
            End::Closing => {
                self.say_goodbye(&mut link).await;
                return Turn::Closing;
            }
        }
        self.backend.end(link).await;
        if start.elapsed() >= STEADY {
            past.backoff.reset();
        }
        Turn::Again
    }

    async fn connect(&self) -> Result<(B::Link, Round), String> {
        // Anew each time: certificates and masters change under a running node.
        let client = self.host.open().await.map_err(|error| error.reason)?;
        let limit = self.host.connect_limit();
        self.backend.open(client, limit).await
    }

    async fn serve(&self, link: &mut B::Link) -> End {
        tokio::select! {
            reason = self.backend.serve(link) => End::Lost(reason),
            () = self.drained() => End::Closing,
        }
    }

    /// Waits for the close, and then for the publishes before it to be answered.
    async fn drained(&self) {
        closed(&mut self.closing.clone()).await;
        // What is not answered by now is told so when the connection goes.
        let _ = timeout(self.limit, self.backend.idle()).await;
    }

    async fn say_goodbye(&self, link: &mut B::Link) {
        let done = timeout(self.limit, self.backend.leave(link)).await;
        if let Err(reason) = done.unwrap_or_else(|_| Err("no answer".into())) {
            let reason = self.host.shown(&reason);
            tracing::warn!(host = %self.host, reason, "redis did not take the subscriptions back");
        }
    }

    fn up(&self, again: bool) {
        self.backend.accept();
        self.status.set(self.index, Ok(()));
        tracing::info!(host = %self.host, again, "redis is up");
    }

    fn lost(&self, reason: &str) -> String {
        let reason = self.fail(reason);
        tracing::warn!(host = %self.host, reason, "redis is lost, connecting again");
        reason
    }

    /// One attempt failed. A reason that is not news is not logged again.
    fn failed(&self, reason: &str, past: &mut Past) {
        let reason = self.fail(reason);
        if past.told.as_ref() == Some(&reason) {
            tracing::debug!(host = %self.host, reason, "redis is still unreachable");
        } else {
            tracing::warn!(host = %self.host, reason, "redis is unreachable, trying on");
            past.told = Some(reason);
        }
    }

    /// Answers the reason as it may be shown.
    fn fail(&self, reason: &str) -> String {
        let reason = self.host.shown(reason);
        self.subscriptions.lost();
        self.backend
            .refuse(PublishError::Down(format!("{}: {reason}", self.host)));
        self.status.set(self.index, Err(&reason));
        reason
    }
}

impl Default for Past {
    fn default() -> Self {
        Self {
            backoff: Backoff::new(),
            was_up: false,
            told: None,
        }
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
            (self.last)();
        }
    }
}

async fn closed(closing: &mut watch::Receiver<bool>) {
    // An error means that the layer was dropped.
    let _ = closing.wait_for(|closing| *closing).await;
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use fanfare_protocol::NodeId;
    use fanfare_rig::{eventually, within};
    use tracing::span;

    use crate::redis::{Format, Host, RedisOptions, RedisPace, connect};

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    /// Panics at the first line that the layer logs, inside its task.
    #[derive(Default)]
    struct Saboteur(AtomicBool);

    impl tracing::Subscriber for Saboteur {
        fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
            metadata.target().starts_with("fanfare_layer")
        }

        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }

        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

        fn event(&self, _: &tracing::Event<'_>) {
            assert!(self.0.swap(true, Ordering::Relaxed), "injected");
        }

        fn enter(&self, _: &span::Id) {}

        fn exit(&self, _: &span::Id) {}
    }

    #[tokio::test]
    async fn a_panic_in_the_task_of_a_host_is_survived() -> anyhow::Result<()> {
        let free = std::net::TcpListener::bind("127.0.0.1:0")?;
        let port = free.local_addr()?.port();
        drop(free);
        let metrics = LayerMetrics::new(&prometheus::Registry::new())?;
        let options = RedisOptions {
            hosts: vec![Host::parse(&format!("redis://127.0.0.1:{port}"))?],
            prefix: "asgi".into(),
            node: NodeId::random()?,
            publish_in_flight: 1,
            inbox: 1,
            memory: crate::MemoryBudget::unlimited(),
            close_events: crate::CloseEvents::Ignored,
            pace: RedisPace::every(SOON),
            format: Format::default(),
        };
        let _sabotage = tracing::subscriber::set_default(Saboteur::default());
        let layer = connect(options, metrics.clone());
        eventually(SOON, "attempts after the panic", async || {
            Ok((metrics.reconnects.get() >= 2).then_some(()))
        })
        .await?;
        within(SOON, "the close", layer.close()).await
    }
}
