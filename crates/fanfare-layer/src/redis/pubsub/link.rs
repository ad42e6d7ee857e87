//! Both connections to one host, from their opening to the first thing that goes wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use redis::aio::{MultiplexedConnection, PubSubSink};
use redis::{AsyncConnectionConfig, RedisError};
use tokio::sync::watch;
use tokio::task::{JoinHandle, unconstrained};
use tokio::time::timeout;

use super::host::{PubSubHost, PublishCommand};
use super::probe::{Echo, Pulses, probe};
use super::subscriber::Subscriber;
use crate::PublishError;
use crate::redis::connection::pulse::Pulse;
use crate::redis::connection::subscriptions::Round;
use crate::redis::connection::supervisor::Backend;
use crate::redis::queue::outgoing::{Batch, Reply};

/// Batches of publishes that are written and unanswered at once.
const FLYING: usize = 8;
/// Redis channels of one SUBSCRIBE.
const SUBSCRIBE_BATCH: usize = 500;

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
