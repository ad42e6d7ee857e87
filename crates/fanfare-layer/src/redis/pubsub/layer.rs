//! The layer over its hosts.

use std::sync::Arc;

use bytes::Bytes;
use fanfare_protocol::serializer::Recipients;
use fanfare_protocol::{Envelope, SerializeError, Serializer, Target};
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use tokio::sync::watch;

use super::host::{PubSubHost, PublishCommand};
use super::keys::Keys;
use super::unpack::{Bodies, close_command};
use crate::redis::connection::subscriptions::Subscriptions;
use crate::redis::connection::supervisors::{HostTask, Supervisors};
use crate::redis::control::channel::RedisControl;
use crate::redis::hosts::role::RoleCheck;
use crate::redis::hosts::shard::shard;
use crate::redis::leases::RedisLeases;
use crate::redis::options::RedisOptions;
use crate::redis::queue::incoming::Incoming;
use crate::redis::queue::outgoing::{Outgoing, Room};
use crate::{
    ChannelLayer, ControlChannel, Delivery, LayerMetrics, LeaseStore, Publish, PublishError,
    Status, SubscribeError, Subscription,
};

/// Bodies of publishes in flight, over all hosts.
const IN_FLIGHT_BYTES: usize = 32 << 20;

/// What callers touch; the rest is in the keepers' tasks.
pub(in crate::redis) struct PubSubLayer {
    keys: Arc<Keys>,
    serializer: Serializer,
    metrics: LayerMetrics,
    /// One for each host.
    pipes: Vec<Arc<Outgoing<PublishCommand>>>,
    incoming: Arc<Incoming<Bodies>>,
    control: Arc<RedisControl>,
    leases: Arc<RedisLeases>,
    supervisors: Supervisors,
}

impl PubSubLayer {
    pub(in crate::redis) fn start(
        options: RedisOptions,
        serializer: Serializer,
        metrics: LayerMetrics,
    ) -> Self {
        let count = options.hosts.len();
        let keys = Arc::new(Keys::new(&options.prefix, options.node));
        let control = Arc::new(RedisControl::new(&options, metrics.clone()));
        let leases = Arc::new(RedisLeases::new(&options, control.clone()));
        let subscriptions: Vec<_> = (0..count)
            .map(|_| Arc::new(Subscriptions::new(metrics.clone())))
            .collect();
        let bodies = Bodies {
            serializer: serializer.clone(),
            close_events: options.close_events,
            subscriptions: subscriptions.clone(),
        };
        let incoming = Arc::new(Incoming::new(
            bodies,
            options.inbox,
            &options.memory,
            metrics.clone(),
        ));
        let share = options.publish_in_flight / count.max(1);
        let mut pipes = Vec::with_capacity(count);
        let mut tasks = Vec::with_capacity(count);
        let hosts = options.hosts.into_iter().zip(subscriptions);
        for (index, (host, subscriptions)) in hosts.enumerate() {
            let unheard = PublishError::Down(format!("{host} has not answered yet"));
            let room = Room {
                publishes: share,
                bytes: IN_FLIGHT_BYTES / count.max(1),
            };
            let outgoing = Arc::new(Outgoing::new(
                room,
                unheard,
                &options.memory,
                metrics.clone(),
            ));
            let backend = PubSubHost {
                keys: keys.clone(),
                incoming: incoming.clone(),
                outgoing: outgoing.clone(),
                subscriptions: subscriptions.clone(),
                control: control.clone(),
                index,
                metrics: metrics.clone(),
                pace: options.pace,
                probes: Arc::default(),
                role: RoleCheck::new(&host),
            };
            pipes.push(outgoing);
            tasks.push(HostTask {
                host,
                backend,
                subscriptions,
            });
        }
        let last = incoming.clone();
        let last = Arc::new(move || last.close());
        Self {
            keys,
            serializer,
            supervisors: Supervisors::start(tasks, options.pace.timeout, &metrics, last),
            metrics,
            pipes,
            incoming,
            control,
            leases,
        }
    }

    /// The host that a Redis channel lives on.
    fn host(&self, channel: &str) -> usize {
        shard(channel, self.pipes.len())
    }

    fn body(&self, envelope: &Envelope) -> Result<Bytes, SerializeError> {
        let draft = self.serializer.draft(envelope)?;
        self.serializer.finish(&draft, Recipients::None, true)
    }

    /// The host that a subscription lives on.
    fn place(&self, subscription: &Subscription) -> usize {
        self.host(&self.keys.subscribed(subscription))
    }
}

impl ChannelLayer for PubSubLayer {
    fn publish(&self, target: Target, envelope: Arc<Envelope>) -> Publish {
        let channel = self.keys.channel(&target);
        let Some(outgoing) = self.pipes.get(self.host(&channel)) else {
            return Publish::Done(Err(PublishError::Down("no host is configured".into())));
        };
        let (channel, body) = match &target {
            // On the host of the group: there it keeps its place behind the group's events.
            Target::Group(group) if envelope.close.is_some() => {
                let command = close_command(&envelope, group);
                (self.keys.closes.clone(), self.body(&command))
            }
            _ => (channel, self.body(&envelope)),
        };
        match body {
            Ok(body) => outgoing.publish(PublishCommand { channel, body }),
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
        let place = |it: &Subscription| self.place(it);
        self.supervisors
            .change(subscriptions, place, Subscriptions::add)
    }

    fn unsubscribe(
        &self,
        subscriptions: Vec<Subscription>,
    ) -> BoxFuture<'static, Result<(), SubscribeError>> {
        let place = |it: &Subscription| self.place(it);
        self.supervisors
            .change(subscriptions, place, Subscriptions::remove)
    }

    fn stream(&self) -> BoxStream<'static, Vec<Delivery>> {
        self.incoming.stream()
    }

    fn status(&self) -> watch::Receiver<Status> {
        self.supervisors.status()
    }

    fn control(&self) -> Arc<dyn ControlChannel> {
        self.control.clone()
    }

    fn leases(&self) -> Arc<dyn LeaseStore> {
        self.leases.clone()
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.control.close();
        for outgoing in &self.pipes {
            outgoing.close();
        }
        self.supervisors.close()
    }
}
