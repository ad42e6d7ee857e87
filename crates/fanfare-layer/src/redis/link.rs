//! Both connections to one host, from their opening to the first thing that goes wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use redis::aio::{MultiplexedConnection, PubSubSink, PubSubStream};
use redis::{AsyncConnectionConfig, Msg, RedisError};
use tokio::sync::watch;
use tokio::task::{JoinHandle, unconstrained};
use tokio::time::{sleep_until, timeout};

use super::inbox::Inbox;
use super::keys::Keys;
use super::pipe::{Batch, Pipe};
use super::subscriptions::{Round, Subscriptions};
use crate::LayerMetrics;

/// Batches of publishes that are written and unanswered at once.
const FLYING: usize = 8;
/// Groups of one SUBSCRIBE.
const SUBSCRIBE_BATCH: usize = 500;

/// What the links of one host have in common.
pub(super) struct Parts {
    pub(super) keys: Arc<Keys>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) pipe: Arc<Pipe>,
    pub(super) subscriptions: Arc<Subscriptions>,
    pub(super) metrics: LayerMetrics,
    /// How often to probe, and how long an answer of any kind may take.
    pub(super) probe: Duration,
}

/// Open connections, with everything subscribed.
pub(super) struct Link {
    publisher: MultiplexedConnection,
    subscriber: PubSubSink,
    /// Empties redis-rs' queue, which has no bound, into the inbox, which has one.
    drain: JoinHandle<()>,
    pulse: Arc<Pulse>,
    echoes: watch::Receiver<Echo>,
}

/// The last probe that came back.
#[derive(Debug, Clone, Copy)]
struct Echo {
    number: u64,
    arrived: Instant,
}

/// When the subscriber connection gave its last sign of life, in milliseconds since its start.
struct Pulse {
    start: Instant,
    last: AtomicU64,
}

impl Link {
    /// Connects and subscribes to all that is wanted. The round comes back acknowledged by Redis;
    /// whoever waits for it is told by the caller, when the host takes publishes too.
    pub(super) async fn open(
        parts: &Parts,
        client: &redis::Client,
        connect_limit: Duration,
    ) -> Result<(Self, Round), String> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(Some(parts.probe));
        let connections = async {
            let publisher = client
                .get_multiplexed_async_connection_with_config(&config)
                .await?;
            Ok::<_, RedisError>((publisher, client.get_async_pubsub().await?))
        };
        let (publisher, pubsub) = timeout(connect_limit, connections)
            .await
            .map_err(|_| format!("no connection within {connect_limit:?}"))?
            .map_err(|error| error.to_string())?;
        let (subscriber, stream) = pubsub.split();
        let start = Instant::now();
        let pulse = Arc::new(Pulse {
            start,
            last: AtomicU64::new(0),
        });
        let (echo, echoes) = watch::channel(Echo {
            number: 0,
            arrived: start,
        });
        let intake = Intake {
            keys: parts.keys.clone(),
            inbox: parts.inbox.clone(),
            pulse: pulse.clone(),
            echo,
        };
        // Spawned: it must go on while the link waits for an acknowledgement. Unconstrained,
        // because tokio's budget would let redis-rs read more in a turn than is drained in one.
        let drain = tokio::spawn(unconstrained(intake.drain(stream)));
        let mut link = Self {
            publisher,
            subscriber,
            drain,
            pulse,
            echoes,
        };
        let round = link.restore(parts).await?;
        Ok((link, round))
    }

    /// Works until the connection is lost; says why.
    pub(super) async fn serve(&mut self, parts: &Parts) -> String {
        let mut subscriber = self.subscriber.clone();
        tokio::select! {
            reason = write(self.publisher.clone(), &parts.pipe) => reason,
            reason = follow(&mut subscriber, parts) => reason,
            reason = probe(self.publisher.clone(), self.echoes.clone(), &self.pulse, parts) => reason,
            _ = &mut self.drain => "the subscriber connection was closed".into(),
        }
    }

    /// Takes back every subscription and waits for the acknowledgement.
    pub(super) async fn unsubscribe(&mut self) -> Result<(), String> {
        let nothing: &[&str] = &[];
        let subscriber = &mut self.subscriber;
        subscriber
            .unsubscribe(nothing)
            .await
            .map_err(|error| error.to_string())?;
        subscriber
            .punsubscribe(nothing)
            .await
            .map_err(|error| error.to_string())
    }

    async fn restore(&mut self, parts: &Parts) -> Result<Round, String> {
        let limited = timeout(parts.probe, async {
            self.subscriber.subscribe(&parts.keys.node).await?;
            self.subscriber.psubscribe(&parts.keys.pattern).await
        });
        answer(limited.await, parts.probe)?;
        let round = parts.subscriptions.connected();
        apply(&mut self.subscriber, parts, &round).await?;
        Ok(round)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.drain.abort();
    }
}

/// Writes publishes; several batches are on their way at once, in order.
async fn write(publisher: MultiplexedConnection, pipe: &Arc<Pipe>) -> String {
    let mut flying = FuturesOrdered::new();
    loop {
        tokio::select! {
            // The batch taken last is polled, and with that written, before another is taken.
            biased;
            Some(sent) = flying.next(), if !flying.is_empty() => {
                if let Err(reason) = sent {
                    return reason;
                }
            }
            batch = pipe.next_batch(), if flying.len() < FLYING => {
                flying.push_back(send(publisher.clone(), batch));
            }
        }
    }
}

async fn send(mut publisher: MultiplexedConnection, batch: Batch) -> Result<(), String> {
    let commands = batch.commands();
    // Unconstrained: with tokio's budget used up it would return before it has written anything,
    // and the next batch could overtake.
    let sent = unconstrained(publisher.send_packed_commands(&commands, 0, batch.len())).await;
    batch.answered(sent.map_err(|error| error.to_string())?);
    Ok(())
}

/// Keeps what Redis sends equal to what the node wants.
async fn follow(subscriber: &mut PubSubSink, parts: &Parts) -> String {
    loop {
        let round = parts.subscriptions.next().await;
        if let Err(reason) = apply(subscriber, parts, &round).await {
            return reason;
        }
        parts.subscriptions.acknowledged(round);
    }
}

async fn apply(subscriber: &mut PubSubSink, parts: &Parts, round: &Round) -> Result<(), String> {
    for groups in round.unsubscribe.chunks(SUBSCRIBE_BATCH) {
        let names: Vec<_> = groups.iter().map(|group| parts.keys.group(group)).collect();
        answer(
            timeout(parts.probe, subscriber.unsubscribe(names)).await,
            parts.probe,
        )?;
    }
    for groups in round.subscribe.chunks(SUBSCRIBE_BATCH) {
        let names: Vec<_> = groups.iter().map(|group| parts.keys.group(group)).collect();
        answer(
            timeout(parts.probe, subscriber.subscribe(names)).await,
            parts.probe,
        )?;
    }
    Ok(())
}

fn answer(
    outcome: Result<Result<(), RedisError>, tokio::time::error::Elapsed>,
    limit: Duration,
) -> Result<(), String> {
    outcome
        .map_err(|_| format!("no acknowledgement within {limit:?}"))?
        .map_err(|error| error.to_string())
}

/// Sends probes through the bus, from the one connection to the other. Returns when one did not
/// come back in time and nothing else came either: a lagging connection is not a dead one.
async fn probe(
    mut publisher: MultiplexedConnection,
    mut echoes: watch::Receiver<Echo>,
    pulse: &Pulse,
    parts: &Parts,
) -> String {
    for number in 1_u64.. {
        let sent = Instant::now();
        let mut command = redis::cmd("PUBLISH");
        command.arg(&parts.keys.node).arg(number);
        if let Err(error) = command.query_async::<()>(&mut publisher).await {
            return format!("a probe was not taken: {error}");
        }
        loop {
            let deadline = sent.max(pulse.last()) + parts.probe;
            if deadline <= Instant::now() {
                return format!("a probe did not come back within {:?}", parts.probe);
            }
            let echo = timeout(
                deadline.saturating_duration_since(Instant::now()),
                echoes.wait_for(|echo| echo.number >= number),
            );
            match echo.await {
                Ok(Ok(echo)) => {
                    let round_trip = echo.arrived.saturating_duration_since(sent);
                    parts.metrics.round_trip.observe(round_trip.as_secs_f64());
                    break;
                }
                Ok(Err(_)) => return "the subscriber connection was closed".into(),
                Err(_) => {}
            }
        }
        sleep_until((sent + parts.probe).into()).await;
    }
    "the probes ran out".into()
}

impl Pulse {
    fn beat(&self) {
        let since = self.start.elapsed().as_millis();
        self.last
            .store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn last(&self) -> Instant {
        self.start + Duration::from_millis(self.last.load(Ordering::Relaxed))
    }
}

/// Where the messages of a subscriber connection go.
struct Intake {
    keys: Arc<Keys>,
    inbox: Arc<Inbox>,
    pulse: Arc<Pulse>,
    echo: watch::Sender<Echo>,
}

impl Intake {
    async fn drain(self, mut messages: PubSubStream) {
        while let Some(message) = messages.next().await {
            self.pulse.beat();
            self.take(&message);
        }
    }

    fn take(&self, message: &Msg) {
        let channel = message.get_channel_name();
        if channel == self.keys.node {
            // Others may have something to say on this channel one day; only a number is a probe.
            if let Ok(number) = message.get_payload::<u64>() {
                self.echo.send_replace(Echo {
                    number,
                    arrived: Instant::now(),
                });
            }
            return;
        }
        match self.keys.target(channel) {
            Ok(target) => self.inbox.push(target, message.get_payload_bytes()),
            Err(error) => self.inbox.refuse(channel, &error.to_string()),
        }
    }
}
