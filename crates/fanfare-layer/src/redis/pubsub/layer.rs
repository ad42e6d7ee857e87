//! The layer over its hosts.

use std::sync::Arc;

use bytes::Bytes;
use fanfare_protocol::serializer::Recipients;
use fanfare_protocol::{Envelope, SerializeError, Serializer, Target};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, try_join_all};
use futures_util::stream::BoxStream;
use tokio::sync::{oneshot, watch};

use super::keys::Keys;
use super::link::{Order, Parts};
use super::unpack::{Bodies, close_order};
use crate::redis::RedisOptions;
use crate::redis::board::Board;
use crate::redis::inbox::Inbox;
use crate::redis::keeper::{Keeper, Running};
use crate::redis::pipe::{Pipe, Room};
use crate::redis::shard::shard;
use crate::redis::subscriptions::Subscriptions;
use crate::{
    ChannelLayer, Delivery, LayerMetrics, Publish, PublishError, Status, SubscribeError,
    Subscription,
};

/// Bodies of publishes in flight, over all hosts.
const IN_FLIGHT_BYTES: usize = 32 << 20;

type Answers = Vec<oneshot::Receiver<Result<(), SubscribeError>>>;

/// What callers touch; the rest is in the keepers' tasks.
pub(in crate::redis) struct PubSubLayer {
    keys: Arc<Keys>,
    serializer: Serializer,
    metrics: LayerMetrics,
    hosts: Vec<HostEnd>,
    inbox: Arc<Inbox<Bodies>>,
    board: Arc<Board>,
    closing: watch::Sender<bool>,
    /// How many keepers have not ended.
    running: watch::Receiver<usize>,
}

/// This side of one host.
struct HostEnd {
    pipe: Arc<Pipe<Order>>,
    subscriptions: Arc<Subscriptions>,
}

impl PubSubLayer {
    pub(in crate::redis) fn start(
        options: RedisOptions,
        serializer: Serializer,
        metrics: LayerMetrics,
    ) -> Self {
        let count = options.hosts.len();
        let keys = Arc::new(Keys::new(&options.prefix, options.node));
        let subscriptions: Vec<_> = (0..count)
            .map(|_| Arc::new(Subscriptions::new(metrics.clone())))
            .collect();
        let bodies = Bodies {
            serializer: serializer.clone(),
            subscriptions: subscriptions.clone(),
        };
        let inbox = Arc::new(Inbox::new(bodies, options.inbox, metrics.clone()));
        let board = Arc::new(Board::new(count, metrics.clone()));
        let (closing, closed) = watch::channel(false);
        let (tasks, running) = watch::channel(count);
        let tasks = Arc::new(tasks);
        let share = options.publish_in_flight / count.max(1);
        let mut hosts = Vec::with_capacity(count);
        let hosts_in_order = options.hosts.into_iter().zip(subscriptions);
        for (index, (host, subscriptions)) in hosts_in_order.enumerate() {
            let unheard = PublishError::Down(format!("{host} has not answered yet"));
            let room = Room {
                publishes: share,
                bytes: IN_FLIGHT_BYTES / count.max(1),
            };
            let pipe = Arc::new(Pipe::new(room, unheard, metrics.clone()));
            let parts = Parts {
                keys: keys.clone(),
                inbox: inbox.clone(),
                pipe: pipe.clone(),
                subscriptions: subscriptions.clone(),
                metrics: metrics.clone(),
                probe: options.probe,
                probes: Arc::default(),
            };
            let last = inbox.clone();
            let keeper = Keeper {
                backend: parts,
                host,
                index,
                subscriptions: subscriptions.clone(),
                metrics: metrics.clone(),
                probe: options.probe,
                board: board.clone(),
                closing: closed.clone(),
                running: Running {
                    tasks: tasks.clone(),
                    last: Arc::new(move || last.close()),
                },
            };
            tokio::spawn(keeper.run());
            hosts.push(HostEnd {
                pipe,
                subscriptions,
            });
        }
        Self {
            keys,
            serializer,
            metrics,
            hosts,
            inbox,
            board,
            closing,
            running,
        }
    }

    /// The host that a Redis channel lives on.
    fn host(&self, channel: &str) -> Option<&HostEnd> {
        self.hosts.get(shard(channel, self.hosts.len()))
    }

    fn body(&self, envelope: &Envelope) -> Result<Bytes, SerializeError> {
        let draft = self.serializer.draft(envelope)?;
        self.serializer.finish(&draft, Recipients::None, true)
    }

    /// Hands each host its share.
    fn by_host(
        &self,
        subscriptions: Vec<Subscription>,
        change: impl Fn(
            &Subscriptions,
            Vec<Subscription>,
        ) -> oneshot::Receiver<Result<(), SubscribeError>>,
    ) -> BoxFuture<'static, Result<(), SubscribeError>> {
        let mut shares = vec![Vec::new(); self.hosts.len()];
        for subscription in subscriptions {
            let index = shard(&self.keys.subscribed(&subscription), self.hosts.len());
            if let Some(share) = shares.get_mut(index) {
                share.push(subscription);
            }
        }
        let answers: Answers = self
            .hosts
            .iter()
            .zip(shares)
            .filter(|(_, share)| !share.is_empty())
            .map(|(host, share)| change(&host.subscriptions, share))
            .collect();
        async move {
            let gone = || SubscribeError("it is closed".into());
            let answers = answers
                .into_iter()
                .map(|answer| async move { answer.await.unwrap_or_else(|_| Err(gone())) });
            try_join_all(answers).await.map(|_| ())
        }
        .boxed()
    }
}

impl ChannelLayer for PubSubLayer {
    fn publish(&self, target: Target, envelope: Arc<Envelope>) -> Publish {
        let channel = self.keys.channel(&target);
        let Some(host) = self.host(&channel) else {
            return Publish::Done(Err(PublishError::Down("no host is configured".into())));
        };
        let (channel, body) = match &target {
            // On the host of the group: there it keeps its place behind the group's events.
            Target::Group(group) if envelope.close.is_some() => {
                let order = close_order(&envelope, group);
                (self.keys.closes.clone(), self.body(&order))
            }
            _ => (channel, self.body(&envelope)),
        };
        match body {
            Ok(body) => host.pipe.publish(Order { channel, body }),
            Err(error) => {
                self.metrics.failures.unserializable.inc();
                Publish::Done(Err(error.into()))
            }
        }
    }

    fn subscribe(
        &self,
        subscriptions: Vec<Subscription>,
    ) -> BoxFuture<'static, Result<(), SubscribeError>> {
        self.by_host(subscriptions, Subscriptions::add)
    }

    fn unsubscribe(
        &self,
        subscriptions: Vec<Subscription>,
    ) -> BoxFuture<'static, Result<(), SubscribeError>> {
        self.by_host(subscriptions, Subscriptions::remove)
    }

    fn stream(&self) -> BoxStream<'static, Vec<Delivery>> {
        self.inbox.stream()
    }

    fn status(&self) -> watch::Receiver<Status> {
        self.board.subscribe()
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        for host in &self.hosts {
            host.pipe.close();
        }
        self.closing.send_replace(true);
        let mut running = self.running.clone();
        async move {
            // An error means that the keepers are gone, with their runtime.
            let _ = running.wait_for(|running| *running == 0).await;
        }
        .boxed()
    }
}
