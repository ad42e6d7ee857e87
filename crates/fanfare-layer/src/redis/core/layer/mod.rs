//! The layer over its hosts.

mod link;

use std::sync::Arc;

use fanfare_protocol::{ChannelName, Envelope, Target};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::link::CoreHost;
use crate::redis::connection::subscriptions::Subscriptions;
use crate::redis::connection::supervisors::{HostTask, Supervisors};
use crate::redis::control::channel::RedisControl;
use crate::redis::core::demand::Demand;
use crate::redis::core::host::commands::CommandConnection;
use crate::redis::core::keys::{Keys, non_local};
use crate::redis::core::membership::store::MembershipStore;
use crate::redis::core::send;
use crate::redis::core::send::request::PublishRequest;
use crate::redis::core::shared::Shared;
use crate::redis::core::unpack::Bodies;
use crate::redis::hosts::role::RoleCheck;
use crate::redis::hosts::shard::shard;
use crate::redis::leases::RedisLeases;
use crate::redis::options::RedisOptions;
use crate::redis::options::core::CoreOptions;
use crate::redis::queue::incoming::Incoming;
use crate::redis::queue::outgoing::{Outgoing, Room};
use crate::{
    ChannelLayer, ControlChannel, Delivery, LayerMetrics, LeaseStore, Publish, PublishError,
    Status, SubscribeError, Subscription,
};

/// Bodies of publishes in flight.
const IN_FLIGHT_BYTES: usize = 32 << 20;

type Answer = Result<(), SubscribeError>;

/// What callers touch; the rest is in the tasks of the hosts.
pub(in crate::redis) struct CoreLayer {
    shared: Arc<Shared>,
    outgoing: Arc<Outgoing<PublishRequest>>,
    control: Arc<RedisControl>,
    leases: Arc<RedisLeases>,
    supervisors: Supervisors,
    /// Ends with the layer.
    sending: JoinHandle<()>,
}

impl CoreLayer {
    pub(in crate::redis) fn start(
        options: RedisOptions,
        core: CoreOptions,
        metrics: LayerMetrics,
    ) -> Self {
        let shared = Arc::new(shared(&options, core, metrics));
        let outgoing = outgoing(&options, &shared);
        let control = Arc::new(RedisControl::new(&options, shared.metrics.clone()));
        let leases = Arc::new(RedisLeases::new(&options, control.clone()));
        let sending = tokio::spawn(send::run(shared.clone(), outgoing.clone()));
        let hosts = options.hosts.into_iter().zip(&shared.servers).enumerate();
        let tasks = hosts.map(|(index, (host, server))| {
            let subscriptions = Arc::new(Subscriptions::new(shared.metrics.clone()));
            let backend = CoreHost {
                shared: shared.clone(),
                server: server.clone(),
                index,
                control: control.clone(),
                subscriptions: subscriptions.clone(),
                memberships: MembershipStore::default(),
                outgoing: outgoing.clone(),
                role: RoleCheck::new(&host),
            };
            HostTask {
                host,
                backend,
                subscriptions,
            }
        });
        let tasks = tasks.collect();
        let last = shared.incoming.clone();
        let last = Arc::new(move || last.close());
        Self {
            supervisors: Supervisors::start(tasks, shared.pace.timeout, &shared.metrics, last),
            shared,
            outgoing,
            control,
            leases,
            sending,
        }
    }

    /// Why a publish cannot go out now, if so. A normal channel's may go to any host.
    fn check(&self, target: &Target) -> Result<(), PublishError> {
        let servers = &self.shared.servers;
        let name = match target {
            Target::Group(group) => group.as_str(),
            Target::Channel(channel) if channel.as_str().contains('!') => {
                non_local(channel.as_str())
            }
            Target::Channel(_) => return any(servers),
        };
        match servers.get(shard(name, servers.len())) {
            Some(server) => server.check(),
            None => Err(PublishError::Down("no host is configured".into())),
        }
    }

    /// The host that a subscription lives on; that of a membership is its group's.
    fn place(&self, subscription: &Subscription) -> usize {
        let name = match subscription {
            Subscription::Group(group) => group.as_str(),
            Subscription::SessionInGroup(member) => member.0.as_str(),
            Subscription::Channel(channel) => channel.as_str(),
        };
        shard(name, self.shared.servers.len())
    }
}

impl ChannelLayer for CoreLayer {
    fn publish(&self, target: Target, envelope: Arc<Envelope>) -> Publish {
        let failures = &self.shared.metrics.failures;
        // After a close the pipe says so.
        if let Err(reason) = self.check(&target)
            && reason != PublishError::Closed
            && !self.supervisors.is_closing()
        {
            failures.down.inc();
            return Publish::Done(Err(reason));
        }
        match PublishRequest::new(&self.shared.options.serializer, target, &envelope) {
            Ok(request) => self.outgoing.publish(request),
            Err(error) => {
                failures.unserializable.inc();
                Publish::Done(Err(error.into()))
            }
        }
    }

    fn subscribe(&self, subscriptions: Vec<Subscription>) -> BoxFuture<'static, Answer> {
        let place = |it: &Subscription| self.place(it);
        self.supervisors
            .change(subscriptions, place, Subscriptions::add)
    }

    fn unsubscribe(&self, subscriptions: Vec<Subscription>) -> BoxFuture<'static, Answer> {
        for subscription in &subscriptions {
            if let Subscription::Channel(channel) = subscription {
                self.shared.demand.forget(channel);
            }
        }
        let place = |it: &Subscription| self.place(it);
        self.supervisors
            .change(subscriptions, place, Subscriptions::remove)
    }

    fn pull(&self, channel: &ChannelName) {
        self.shared.demand.pull(channel);
    }

    fn stream(&self) -> BoxStream<'static, Vec<Delivery>> {
        self.shared.incoming.stream()
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
        self.outgoing.close();
        let ended = self.supervisors.close();
        let sending = self.sending.abort_handle();
        let outgoing = self.outgoing.clone();
        async move {
            ended.await;
            sending.abort();
            // Nobody sends what is left.
            outgoing.refuse(PublishError::Closed);
        }
        .boxed()
    }
}

impl Drop for CoreLayer {
    fn drop(&mut self) {
        self.sending.abort();
        // Nobody sends what is left, and publishers may still wait for room.
        self.outgoing.refuse(PublishError::Closed);
    }
}

fn shared(options: &RedisOptions, core: CoreOptions, metrics: LayerMetrics) -> Shared {
    let keys = Arc::new(Keys::new(&options.prefix, options.node));
    let bodies = Bodies {
        keys: keys.clone(),
        serializer: core.serializer.clone(),
        close_events: options.close_events,
    };
    let servers = options.hosts.iter().map(|host| {
        let unheard = PublishError::Down(format!("{host} has not answered yet"));
        Arc::new(CommandConnection::new(options.pace.timeout, unheard))
    });
    Shared {
        keys,
        options: core,
        servers: servers.collect(),
        incoming: Arc::new(Incoming::new(
            bodies,
            options.inbox,
            &options.memory,
            metrics.clone(),
        )),
        demand: Demand::default(),
        metrics,
        pace: options.pace,
    }
}

fn outgoing(options: &RedisOptions, shared: &Shared) -> Arc<Outgoing<PublishRequest>> {
    let room = Room {
        publishes: options.publish_in_flight,
        bytes: IN_FLIGHT_BYTES,
    };
    let unheard = PublishError::Down("no host has answered yet".into());
    let outgoing = Outgoing::new(room, unheard, &options.memory, shared.metrics.clone());
    // From the start: each order finds out by itself which hosts it needs.
    outgoing.open();
    Arc::new(outgoing)
}

/// Whether one of the hosts takes publishes; if not, why the first does not.
fn any(servers: &[Arc<CommandConnection>]) -> Result<(), PublishError> {
    let mut answers = servers.iter().map(|server| server.check());
    let none = || PublishError::Down("no host is configured".into());
    let first = answers.next().ok_or_else(none)?;
    first.or_else(|reason| answers.find(Result::is_ok).unwrap_or(Err(reason)))
}
