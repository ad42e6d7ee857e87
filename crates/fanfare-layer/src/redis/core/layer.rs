//! The layer over its hosts.

use std::sync::Arc;

use fanfare_protocol::{ChannelName, Envelope, Target};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, try_join_all};
use futures_util::stream::BoxStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinHandle};

use super::channels::Wants;
use super::guests::Guests;
use super::keys::{Keys, non_local};
use super::line::Line;
use super::link::End;
use super::members::Roll;
use super::recent::Recent;
use super::send::{self, Order};
use super::unpack::{Bodies, Listed};
use super::{CoreOptions, Shared};
use crate::redis::RedisOptions;
use crate::redis::board::Board;
use crate::redis::inbox::Inbox;
use crate::redis::keeper::{Keeper, Running};
use crate::redis::pipe::{Pipe, Room};
use crate::redis::shard::shard;
use crate::redis::subscriptions::Subscriptions;
use crate::{
    ChannelLayer, Delivery, LayerMetrics, Publish, PublishError, Sink, Status, SubscribeError,
    Subscription,
};

/// Bodies of publishes in flight.
const IN_FLIGHT_BYTES: usize = 32 << 20;
/// Messages for single sessions that wait to be looked into.
const LISTED: usize = 1024;

type Answer = Result<(), SubscribeError>;

/// What callers touch; the rest is in the tasks of the hosts.
pub(in crate::redis) struct CoreLayer {
    shared: Arc<Shared>,
    pipe: Arc<Pipe<Order>>,
    /// One for each host.
    subscriptions: Vec<Arc<Subscriptions>>,
    board: Arc<Board>,
    closing: watch::Sender<bool>,
    /// How many keepers have not ended.
    running: watch::Receiver<usize>,
    /// End with the layer.
    tasks: Vec<JoinHandle<()>>,
}

impl CoreLayer {
    pub(in crate::redis) fn start(
        options: RedisOptions,
        core: CoreOptions,
        sink: Arc<dyn Sink>,
        metrics: LayerMetrics,
    ) -> Self {
        let (listed, guests) = mpsc::channel(LISTED);
        let shared = Arc::new(shared(&options, core, listed, metrics));
        let pipe = pipe(&options, &shared);
        let tasks = vec![
            tokio::spawn(send::run(shared.clone(), pipe.clone())),
            tokio::spawn(Guests::new(shared.clone(), sink).run(guests)),
        ];
        let hosts = options.hosts.len();
        let board = Arc::new(Board::new(hosts, shared.metrics.clone()));
        let (closing, closed) = watch::channel(false);
        let (count, running) = watch::channel(hosts);
        let count = Arc::new(count);
        let mut subscriptions = Vec::with_capacity(hosts);
        for (index, (host, line)) in options.hosts.into_iter().zip(&shared.lines).enumerate() {
            let wanted = Arc::new(Subscriptions::new(shared.metrics.clone()));
            let end = End {
                shared: shared.clone(),
                line: line.clone(),
                index,
                subscriptions: wanted.clone(),
                roll: Roll::default(),
                pipe: pipe.clone(),
            };
            let last = shared.inbox.clone();
            let keeper = Keeper {
                backend: end,
                host,
                index,
                subscriptions: wanted.clone(),
                metrics: shared.metrics.clone(),
                probe: shared.probe,
                board: board.clone(),
                closing: closed.clone(),
                running: Running {
                    tasks: count.clone(),
                    last: Arc::new(move || last.close()),
                },
            };
            tokio::spawn(keeper.run());
            subscriptions.push(wanted);
        }
        Self {
            shared,
            pipe,
            subscriptions,
            board,
            closing,
            running,
            tasks,
        }
    }

    /// Why a publish cannot go out now, if so. A normal channel's may go to any host.
    fn check(&self, target: &Target) -> Result<(), PublishError> {
        let lines = &self.shared.lines;
        let name = match target {
            Target::Group(group) => group.as_str(),
            Target::Channel(channel) if channel.as_str().contains('!') => {
                non_local(channel.as_str())
            }
            Target::Channel(_) => return any(lines),
        };
        match lines.get(shard(name, lines.len())) {
            Some(line) => line.check(),
            None => Err(PublishError::Down("no host is configured".into())),
        }
    }

    /// Hands each host its share; the host of a membership is its group's.
    fn by_host(
        &self,
        subscriptions: Vec<Subscription>,
        change: impl Fn(&Subscriptions, Vec<Subscription>) -> oneshot::Receiver<Answer>,
    ) -> BoxFuture<'static, Answer> {
        let hosts = self.subscriptions.len();
        let mut shares = vec![Vec::new(); hosts];
        for subscription in subscriptions {
            let name = match &subscription {
                Subscription::Group(group) | Subscription::Member { group, .. } => group.as_str(),
                Subscription::Channel(channel) => channel.as_str(),
            };
            if let Some(share) = shares.get_mut(shard(name, hosts)) {
                share.push(subscription);
            }
        }
        let shares = self.subscriptions.iter().zip(shares);
        let answers: Vec<_> = shares
            .filter(|(_, share)| !share.is_empty())
            .map(|(host, share)| change(host, share))
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

impl ChannelLayer for CoreLayer {
    fn publish(&self, target: Target, envelope: Arc<Envelope>) -> Publish {
        let failures = &self.shared.metrics.failures;
        // After a close the pipe says so.
        if let Err(reason) = self.check(&target)
            && reason != PublishError::Closed
            && !*self.closing.borrow()
        {
            failures.down.inc();
            return Publish::Done(Err(reason));
        }
        match Order::new(&self.shared.options.serializer, target, &envelope) {
            Ok(order) => self.pipe.publish(order),
            Err(error) => {
                failures.unserializable.inc();
                Publish::Done(Err(error.into()))
            }
        }
    }

    fn subscribe(&self, subscriptions: Vec<Subscription>) -> BoxFuture<'static, Answer> {
        self.by_host(subscriptions, Subscriptions::add)
    }

    fn unsubscribe(&self, subscriptions: Vec<Subscription>) -> BoxFuture<'static, Answer> {
        for subscription in &subscriptions {
            if let Subscription::Channel(channel) = subscription {
                self.shared.wants.forget(channel);
            }
        }
        self.by_host(subscriptions, Subscriptions::remove)
    }

    fn pull(&self, channel: &ChannelName) {
        self.shared.wants.pull(channel);
    }

    fn stream(&self) -> BoxStream<'static, Vec<Delivery>> {
        self.shared.inbox.stream()
    }

    fn status(&self) -> watch::Receiver<Status> {
        self.board.subscribe()
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.pipe.close();
        self.closing.send_replace(true);
        let mut running = self.running.clone();
        let tasks: Vec<_> = self.tasks.iter().map(JoinHandle::abort_handle).collect();
        let pipe = self.pipe.clone();
        async move {
            // An error means that the keepers are gone, with their runtime.
            let _ = running.wait_for(|running| *running == 0).await;
            tasks.iter().for_each(AbortHandle::abort);
            // Nobody sends what is left.
            pipe.refuse(PublishError::Closed);
        }
        .boxed()
    }
}

impl Drop for CoreLayer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        // Nobody sends what is left, and publishers may still wait for room.
        self.pipe.refuse(PublishError::Closed);
    }
}

fn shared(
    options: &RedisOptions,
    core: CoreOptions,
    listed: mpsc::Sender<Listed>,
    metrics: LayerMetrics,
) -> Shared {
    let keys = Arc::new(Keys::new(&options.prefix, options.node));
    let recent = Arc::new(Recent::default());
    let bodies = Bodies {
        keys: keys.clone(),
        serializer: core.serializer.clone(),
        guests: Some(listed),
        per_session: core.per_session,
        recent: recent.clone(),
    };
    let lines = options.hosts.iter().map(|host| {
        let unheard = PublishError::Down(format!("{host} has not answered yet"));
        Arc::new(Line::new(options.probe, unheard))
    });
    Shared {
        keys,
        options: core,
        lines: lines.collect(),
        inbox: Arc::new(Inbox::new(bodies, options.inbox, metrics.clone())),
        wants: Wants::default(),
        recent,
        metrics,
        probe: options.probe,
    }
}

fn pipe(options: &RedisOptions, shared: &Shared) -> Arc<Pipe<Order>> {
    let room = Room {
        publishes: options.publish_in_flight,
        bytes: IN_FLIGHT_BYTES,
    };
    let unheard = PublishError::Down("no host has answered yet".into());
    let pipe = Pipe::new(room, unheard, shared.metrics.clone());
    // From the start: each order finds out by itself which hosts it needs.
    pipe.open();
    Arc::new(pipe)
}

/// Whether one of the hosts takes publishes; if not, why the first does not.
fn any(lines: &[Arc<Line>]) -> Result<(), PublishError> {
    let mut answers = lines.iter().map(|line| line.check());
    let none = || PublishError::Down("no host is configured".into());
    let first = answers.next().ok_or_else(none)?;
    first.or_else(|reason| answers.find(Result::is_ok).unwrap_or(Err(reason)))
}
