//! The layer over its hosts.

use std::sync::Arc;

use fanfare_protocol::{ChannelName, Envelope, Target};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use tokio::sync::{mpsc, watch};
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
use crate::redis::inbox::Inbox;
use crate::redis::keepers::{Keepers, Post};
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
    keepers: Keepers,
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
        let hosts = options.hosts.into_iter().zip(&shared.lines).enumerate();
        let posts = hosts.map(|(index, (host, line))| {
            let subscriptions = Arc::new(Subscriptions::new(shared.metrics.clone()));
            let backend = End {
                shared: shared.clone(),
                line: line.clone(),
                index,
                subscriptions: subscriptions.clone(),
                roll: Roll::default(),
                pipe: pipe.clone(),
            };
            Post {
                host,
                backend,
                subscriptions,
            }
        });
        let posts = posts.collect();
        let last = shared.inbox.clone();
        let last = Arc::new(move || last.close());
        Self {
            keepers: Keepers::start(posts, shared.probe, &shared.metrics, last),
            shared,
            pipe,
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

    /// The host that a subscription lives on; that of a membership is its group's.
    fn place(&self, subscription: &Subscription) -> usize {
        let name = match subscription {
            Subscription::Group(group) | Subscription::SessionInGroup { group, .. } => {
                group.as_str()
            }
            Subscription::Channel(channel) => channel.as_str(),
        };
        shard(name, self.shared.lines.len())
    }
}

impl ChannelLayer for CoreLayer {
    fn publish(&self, target: Target, envelope: Arc<Envelope>) -> Publish {
        let failures = &self.shared.metrics.failures;
        // After a close the pipe says so.
        if let Err(reason) = self.check(&target)
            && reason != PublishError::Closed
            && !self.keepers.is_closing()
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
        let place = |it: &Subscription| self.place(it);
        self.keepers
            .change(subscriptions, place, Subscriptions::add)
    }

    fn unsubscribe(&self, subscriptions: Vec<Subscription>) -> BoxFuture<'static, Answer> {
        for subscription in &subscriptions {
            if let Subscription::Channel(channel) = subscription {
                self.shared.wants.forget(channel);
            }
        }
        let place = |it: &Subscription| self.place(it);
        self.keepers
            .change(subscriptions, place, Subscriptions::remove)
    }

    fn pull(&self, channel: &ChannelName) {
        self.shared.wants.pull(channel);
    }

    fn stream(&self) -> BoxStream<'static, Vec<Delivery>> {
        self.shared.inbox.stream()
    }

    fn status(&self) -> watch::Receiver<Status> {
        self.keepers.status()
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.pipe.close();
        let ended = self.keepers.close();
        let tasks: Vec<_> = self.tasks.iter().map(JoinHandle::abort_handle).collect();
        let pipe = self.pipe.clone();
        async move {
            ended.await;
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
