//! The layer over its hosts.

use std::sync::Arc;

use fanfare_protocol::{Envelope, Target};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, try_join_all};
use futures_util::stream::BoxStream;
use tokio::sync::{oneshot, watch};

use super::PubSubOptions;
use super::board::Board;
use super::inbox::Inbox;
use super::keeper::{Keeper, Running};
use super::keys::Keys;
use super::link::Parts;
use super::pipe::{Pipe, Room};
use super::shard::shard;
use super::subscriptions::Subscriptions;
use crate::{ChannelLayer, Delivery, LayerMetrics, Publish, PublishError, Status, SubscribeError};

/// Bodies of publishes in flight, over all hosts.
const IN_FLIGHT_BYTES: usize = 32 << 20;

type Answers = Vec<oneshot::Receiver<Result<(), SubscribeError>>>;

/// What callers touch; the rest is in the keepers' tasks.
pub(super) struct PubSubLayer {
    keys: Arc<Keys>,
    hosts: Vec<HostEnd>,
    inbox: Arc<Inbox>,
    board: Arc<Board>,
    closing: watch::Sender<bool>,
    /// How many keepers have not ended.
    running: watch::Receiver<usize>,
}

/// This side of one host.
struct HostEnd {
    pipe: Arc<Pipe>,
    subscriptions: Arc<Subscriptions>,
}

impl PubSubLayer {
    pub(super) fn start(options: PubSubOptions, metrics: LayerMetrics) -> Self {
        let count = options.hosts.len();
        let keys = Arc::new(Keys::new(&options.prefix, options.node));
        let inbox = Arc::new(Inbox::new(options.inbox, metrics.clone()));
        let board = Arc::new(Board::new(count, metrics.clone()));
        let (closing, closed) = watch::channel(false);
        let (tasks, running) = watch::channel(count);
        let tasks = Arc::new(tasks);
        let share = options.publish_in_flight / count.max(1);
        let mut hosts = Vec::with_capacity(count);
        for (index, host) in options.hosts.into_iter().enumerate() {
            let unheard = PublishError::Down(format!("{host} has not answered yet"));
            let room = Room {
                publishes: share,
                bytes: IN_FLIGHT_BYTES / count.max(1),
            };
            let pipe = Arc::new(Pipe::new(room, unheard, metrics.clone()));
            let subscriptions = Arc::new(Subscriptions::new(metrics.clone()));
            let parts = Parts {
                keys: keys.clone(),
                inbox: inbox.clone(),
                pipe: pipe.clone(),
                subscriptions: subscriptions.clone(),
                metrics: metrics.clone(),
                probe: options.probe,
                probes: Arc::default(),
            };
            let keeper = Keeper {
                host,
                index,
                parts,
                board: board.clone(),
                closing: closed.clone(),
                running: Running {
                    tasks: tasks.clone(),
                    inbox: inbox.clone(),
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

    /// Hands each host its targets.
    fn by_host(
        &self,
        targets: Vec<Target>,
        change: impl Fn(&Subscriptions, Vec<Target>) -> oneshot::Receiver<Result<(), SubscribeError>>,
    ) -> BoxFuture<'static, Result<(), SubscribeError>> {
        let mut shares = vec![Vec::new(); self.hosts.len()];
        for target in targets {
            let index = shard(&self.keys.channel(&target), self.hosts.len());
            if let Some(share) = shares.get_mut(index) {
                share.push(target);
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
        match self.host(&channel) {
            Some(host) => host.pipe.publish(channel, envelope.to_msgpack()),
            None => Publish::Done(Err(PublishError::Down("no host is configured".into()))),
        }
    }

    fn subscribe(&self, targets: Vec<Target>) -> BoxFuture<'static, Result<(), SubscribeError>> {
        self.by_host(targets, Subscriptions::add)
    }

    fn unsubscribe(&self, targets: Vec<Target>) -> BoxFuture<'static, Result<(), SubscribeError>> {
        self.by_host(targets, Subscriptions::remove)
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
