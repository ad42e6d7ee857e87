//! Both connections to one host, from their opening to the first thing that goes wrong.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use redis::aio::{MultiplexedConnection, PubSubSink, PubSubStream};
use redis::{AsyncConnectionConfig, Msg, RedisError};
use tokio::sync::watch;
use tokio::task::{JoinHandle, unconstrained};
use tokio::time::{sleep_until, timeout};

use super::keys::Keys;
use super::unpack::{Bodies, Source};
use crate::redis::connection::pulse::Pulse;
use crate::redis::connection::subscriptions::{Round, Subscriptions};
use crate::redis::connection::supervisor::Backend;
use crate::redis::control::channel::RedisControl;
use crate::redis::hosts::role::{RoleCheck, answer_of, is_in_cluster, question};
use crate::redis::options::RedisPace;
use crate::redis::queue::incoming::Incoming;
use crate::redis::queue::outgoing::{Batch, Outgoing, Reply, Work};
use crate::{LayerMetrics, PublishError};

/// Batches of publishes that are written and unanswered at once.
const FLYING: usize = 8;
/// Redis channels of one SUBSCRIBE.
const SUBSCRIBE_BATCH: usize = 500;

/// What the links of one host have in common.
pub(super) struct PubSubHost {
    pub(super) keys: Arc<Keys>,
    pub(super) incoming: Arc<Incoming<Bodies>>,
    pub(super) outgoing: Arc<Outgoing<PublishCommand>>,
    pub(super) subscriptions: Arc<Subscriptions>,
    pub(super) control: Arc<RedisControl>,
    /// The host's place among all.
    pub(super) index: usize,
    pub(super) metrics: LayerMetrics,
    pub(super) pace: RedisPace,
    /// The number of the latest probe. Counted over all links, so that a probe of an earlier one,
    /// which Redis may have read late, is not taken for one of this.
    pub(super) probes: Arc<AtomicU64>,
    pub(super) role: RoleCheck,
}

/// A PUBLISH.
pub(super) struct PublishCommand {
    pub(super) channel: String,
    pub(super) body: Bytes,
}

impl Work for PublishCommand {
    fn bytes(&self) -> usize {
        self.body.len()
    }
}

/// Open connections, with everything subscribed.
pub(super) struct Link {
    publisher: MultiplexedConnection,
    subscriber: PubSubSink,
    /// Empties redis-rs' queue, which has no bound, into the inbox, which has one.
    drain: JoinHandle<()>,
    /// Tells the drain, which may be busy for long, that the link is over.
    over: Arc<AtomicBool>,
    pulses: Pulses,
    echoes: watch::Receiver<Echo>,
}

/// The signs of life of both connections.
#[derive(Clone)]
struct Pulses {
    publisher: Arc<Pulse>,
    subscriber: Arc<Pulse>,
}

/// The last probe that came back.
#[derive(Debug, Clone, Copy)]
struct Echo {
    number: u64,
    arrived: Instant,
}

impl Backend for PubSubHost {
    type Link = Link;

    async fn open(
        &self,
        client: redis::Client,
        connect_limit: Duration,
    ) -> Result<(Link, Round), String> {
        let (link, round) = Link::open(self, &client, connect_limit).await?;
        self.control.connected(self.index, link.publisher.clone());
        Ok((link, round))
    }

    fn has_gap(&self, _: &Link) -> bool {
        true
    }

    fn accept(&self) {
        self.outgoing.open();
    }

    fn refuse(&self, reason: PublishError) {
        self.control.lost(self.index, &reason.to_string());
        self.outgoing.refuse(reason);
    }

    async fn serve(&self, link: &mut Link) -> String {
        link.serve(self).await
    }

    async fn idle(&self) {
        self.outgoing.idle().await;
    }

    async fn leave(&self, link: &mut Link) -> Result<(), String> {
        self.control.leave(self.index).await;
        link.unsubscribe().await
    }

    async fn end(&self, link: Link) {
        link.end().await;
    }
}

impl PubSubHost {
    /// Checks that the server passes on what is published there, by its answer about its role. In a
    /// Redis Cluster every server does.
    async fn judge(
        &self,
        role: &redis::Value,
        publisher: &mut MultiplexedConnection,
    ) -> Result<(), String> {
        match self.role.judge(role) {
            Err(_) if is_in_cluster(publisher).await => Ok(()),
            judged => judged,
        }
    }

    async fn is_master(&self, publisher: &mut MultiplexedConnection) -> Result<(), String> {
        let role = answer_of(publisher).await?;
        self.judge(&role, publisher).await
    }
}

impl Link {
    async fn open(
        host: &PubSubHost,
        client: &redis::Client,
        connect_limit: Duration,
    ) -> Result<(Self, Round), String> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None);
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
        let pulses = Pulses {
            publisher: Arc::new(Pulse::new()),
            subscriber: Arc::new(Pulse::new()),
        };
        let (echo, echoes) = watch::channel(Echo {
            number: 0,
            arrived: Instant::now(),
        });
        let over = Arc::new(AtomicBool::new(false));
        let messages = Subscriber {
            keys: host.keys.clone(),
            incoming: host.incoming.clone(),
            over: over.clone(),
            pulse: pulses.subscriber.clone(),
            probes: host.probes.clone(),
            control: host.control.clone(),
            index: host.index,
            echo,
        };
        // Spawned: it must go on while the link waits for an acknowledgement. Unconstrained,
        // because tokio's budget would let redis-rs read more in a turn than is drained in one.
        let drain = tokio::spawn(unconstrained(messages.drain(stream)));
        let mut link = Self {
            publisher,
            subscriber,
            drain,
            over,
            pulses,
            echoes,
        };
        let master = host.is_master(&mut link.publisher);
        let late = |_| Err(format!("no answer within {:?}", host.pace.timeout));
        timeout(host.pace.timeout, master)
            .await
            .unwrap_or_else(late)?;
        let round = link.restore(host).await?;
        Ok((link, round))
    }

    async fn serve(&mut self, host: &PubSubHost) -> String {
        let mut subscriber = self.subscriber.clone();
        tokio::select! {
            reason = write(&self.publisher, &self.pulses.publisher, host) => reason,
            reason = follow(&mut subscriber, host) => reason,
            reason = probe(&self.publisher, self.echoes.clone(), &self.pulses, host) => reason,
            never = host.control.beat(host.index) => match never {},
            _ = &mut self.drain => "the subscriber connection was closed".into(),
        }
    }

    async fn unsubscribe(&mut self) -> Result<(), String> {
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

    async fn end(mut self) {
        self.over.store(true, Ordering::Release);
        self.drain.abort();
        if !self.drain.is_finished() {
            // An error is the abort.
            let _ = (&mut self.drain).await;
        }
    }

    async fn restore(&mut self, host: &PubSubHost) -> Result<Round, String> {
        let limited = timeout(host.pace.timeout, async {
            let [own, all] = &host.control.subscribed;
            let own = [own, all, &host.keys.closes];
            self.subscriber.subscribe(&own).await?;
            self.subscriber.psubscribe(&host.keys.pattern).await
        });
        answer(limited.await, host.pace.timeout)?;
        let round = host.subscriptions.connected();
        apply(&mut self.subscriber, host, &round).await?;
        Ok(round)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        self.drain.abort();
    }
}

/// Writes publishes; several batches are on their way at once, in order.
async fn write(publisher: &MultiplexedConnection, pulse: &Pulse, host: &PubSubHost) -> String {
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
            batch = host.outgoing.next_batch(), if flying.len() < FLYING => {
                flying.push_back(send(publisher.clone(), batch, pulse, host.pace.timeout));
            }
        }
    }
}

async fn send(
    mut publisher: MultiplexedConnection,
    batch: Batch<PublishCommand>,
    pulse: &Pulse,
    limit: Duration,
) -> Result<(), String> {
    let commands = commands(&batch);
    // Unconstrained: with tokio's budget used up it would return before it has written anything,
    // and the next batch could overtake.
    let sent = unconstrained(publisher.send_packed_commands(&commands, 0, batch.len()));
    // Large batches before this one may take their time.
    let Some(sent) = pulse.wait(limit, sent).await else {
        return Err(format!("publishes were not answered within {limit:?}"));
    };
    let replies = sent.map_err(|error| error.to_string())?;
    batch.answered(replies.into_iter().map(reply));
    pulse.beat();
    Ok(())
}

fn commands(batch: &Batch<PublishCommand>) -> redis::Pipeline {
    let mut commands = redis::Pipeline::with_capacity(batch.len());
    for command in batch.works() {
        commands
            .cmd("PUBLISH")
            .arg(&command.channel)
            .arg(command.body.as_ref());
    }
    commands
}

/// PUBLISH answers with a number of receivers, which says nothing: other nodes may have none.
fn reply(value: redis::Value) -> Reply {
    match value {
        redis::Value::ServerError(error) => Reply::Refused(error.to_string()),
        _ => Reply::Taken,
    }
}

/// Keeps what Redis sends equal to what the node wants.
async fn follow(subscriber: &mut PubSubSink, host: &PubSubHost) -> String {
    loop {
        let round = host.subscriptions.next().await;
        if let Err(reason) = apply(subscriber, host, &round).await {
            return reason;
        }
        host.subscriptions.acknowledged(round);
    }
}

async fn apply(
    subscriber: &mut PubSubSink,
    host: &PubSubHost,
    round: &Round,
) -> Result<(), String> {
    for some in round.unsubscribe.chunks(SUBSCRIBE_BATCH) {
        let names: Vec<_> = some.iter().map(|it| host.keys.subscribed(it)).collect();
        answer(
            timeout(host.pace.timeout, subscriber.unsubscribe(names)).await,
            host.pace.timeout,
        )?;
    }
    for some in round.subscribe.chunks(SUBSCRIBE_BATCH) {
        let names: Vec<_> = some.iter().map(|it| host.keys.subscribed(it)).collect();
        answer(
            timeout(host.pace.timeout, subscriber.subscribe(names)).await,
            host.pace.timeout,
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
    publisher: &MultiplexedConnection,
    mut echoes: watch::Receiver<Echo>,
    pulses: &Pulses,
    host: &PubSubHost,
) -> String {
    let mut publisher = publisher.clone();
    loop {
        let sent = Instant::now();
        let number = host.probes.fetch_add(1, Ordering::Relaxed) + 1;
        let taken = ask(&mut publisher, number, host);
        match pulses.publisher.wait(host.pace.timeout, taken).await {
            Some(Ok(())) => pulses.publisher.beat(),
            Some(Err(reason)) => return reason,
            None => return format!("a probe was not taken within {:?}", host.pace.timeout),
        }
        let echo = echoes.wait_for(|echo| echo.number == number);
        match pulses.subscriber.wait(host.pace.timeout, echo).await {
            Some(Ok(echo)) => {
                let round_trip = echo.arrived.saturating_duration_since(sent);
                host.metrics.round_trip.observe(round_trip.as_secs_f64());
            }
            Some(Err(_)) => return "the subscriber connection was closed".into(),
            None => return format!("a probe did not come back within {:?}", host.pace.timeout),
        }
        sleep_until((sent + host.pace.probe).into()).await;
    }
}

/// Sends a probe, and asks whether the server is still the master.
async fn ask(
    publisher: &mut MultiplexedConnection,
    number: u64,
    host: &PubSubHost,
) -> Result<(), String> {
    let mut commands = redis::Pipeline::new();
    commands.cmd("PUBLISH").arg(&host.keys.node).arg(number);
    commands.add_command(question());
    let answers = publisher.send_packed_commands(&commands, 0, 2).await;
    let not_taken = |error: &dyn fmt::Display| format!("a probe was not taken: {error}");
    match &answers.map_err(|error| not_taken(&error))?[..] {
        [redis::Value::ServerError(error), ..] => Err(not_taken(error)),
        [_, role] => host.judge(role, publisher).await,
        _ => Err("a probe was not answered".into()),
    }
}

/// Where the messages of a subscriber connection go.
struct Subscriber {
    keys: Arc<Keys>,
    incoming: Arc<Incoming<Bodies>>,
    over: Arc<AtomicBool>,
    pulse: Arc<Pulse>,
    probes: Arc<AtomicU64>,
    control: Arc<RedisControl>,
    /// The host's place among all.
    index: usize,
    echo: watch::Sender<Echo>,
}

impl Subscriber {
    async fn drain(self, mut messages: PubSubStream) {
        while let Some(message) = messages.next().await {
            if self.over.load(Ordering::Acquire) {
                return;
            }
            self.pulse.beat();
            self.take(&message);
        }
    }

    fn take(&self, message: &Msg) {
        let channel = message.get_channel_name();
        if channel == self.keys.node
            && let Ok(number) = message.get_payload::<u64>()
        {
            self.came_back(number);
            return;
        }
        if self.control.subscribed.iter().any(|own| own == channel) {
            self.control
                .arrived(self.index, message.get_payload_bytes());
            return;
        }
        if channel == self.keys.closes {
            let body = Bytes::copy_from_slice(message.get_payload_bytes());
            self.incoming.push(Source::Closes, body);
            return;
        }
        match self.keys.target(channel) {
            Ok(target) => {
                let body = Bytes::copy_from_slice(message.get_payload_bytes());
                self.incoming.push(Source::Of(target), body);
            }
            Err(error) => self.incoming.refuse(channel, &error.to_string()),
        }
    }
    /// A probe came back; only the latest counts.
    fn came_back(&self, number: u64) {
        if number == self.probes.load(Ordering::Relaxed) {
            self.echo.send_replace(Echo {
                number,
                arrived: Instant::now(),
            });
        }
    }
}
