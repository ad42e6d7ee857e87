//! The connections to one host, from their opening to the first thing that goes wrong.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use redis::aio::{MultiplexedConnection, PubSub};
use redis::{AsyncConnectionConfig, RedisError};
use tokio::time::timeout;

use crate::PublishError;
use crate::redis::connection::pulse::Pulse;
use crate::redis::connection::subscriptions::{Round, Subscriptions};
use crate::redis::connection::supervisor::Backend;
use crate::redis::control::channel::RedisControl;
use crate::redis::control::serve::BEAT;
use crate::redis::core::host::commands::CommandConnection;
use crate::redis::core::membership::store::MembershipStore;
use crate::redis::core::membership::{heartbeat, reaper};
use crate::redis::core::receive::{channels, lanes};
use crate::redis::core::send::request::PublishRequest;
use crate::redis::core::send::script;
use crate::redis::core::shared::Shared;
use crate::redis::hosts::role::{RoleCheck, is_in_cluster};
use crate::redis::queue::outgoing::Outgoing;

/// The scripts of channels_redis' core layer use keys that they do not declare, on any server of a
/// cluster: no Python process could be on the other side.
const IN_CLUSTER: &str = "this is a Redis Cluster, where channels_redis' core format does not work \
                          (its scripts use keys on many servers at once): set layer.format to \
                          \"pubsub\", or use a Redis that is no cluster";

/// What this node does on one host.
pub(super) struct CoreHost {
    pub(super) shared: Arc<Shared>,
    pub(super) server: Arc<CommandConnection>,
    /// The host's place among all.
    pub(super) index: usize,
    pub(super) control: Arc<RedisControl>,
    pub(super) subscriptions: Arc<Subscriptions>,
    pub(super) memberships: MembershipStore,
    pub(super) outgoing: Arc<Outgoing<PublishRequest>>,
    pub(super) role: RoleCheck,
}

/// Open connections. Two are apart from the line, because they wait in Redis for messages, and one
/// because it is subscribed.
pub(super) struct Link {
    lanes: MultiplexedConnection,
    channels: MultiplexedConnection,
    /// What other nodes say to this one.
    control: PubSub,
    /// Whether messages for this node are gone: the host knew nothing of it any more, or it was away
    /// for longer than they wait.
    gap: bool,
}

impl Backend for CoreHost {
    type Link = Link;

    async fn open(
        &self,
        client: redis::Client,
        connect_limit: Duration,
    ) -> Result<(Link, Round), String> {
        let connections = timeout(connect_limit, connections(&client)).await;
        let ([mut command, lanes, channels], mut control) = connections
            .map_err(|_| format!("no connection within {connect_limit:?}"))?
            .map_err(|error| error.to_string())?;
        let limit = self.shared.pace.timeout;
        // A server that hangs takes connections all the same.
        timeout(limit, self.set_up(&mut command, &mut control))
            .await
            .map_err(|_| format!("no answer within {limit:?}"))??;
        self.server.prepare(command.clone());
        let (round, gap) = self.restore().await?;
        self.control.connected(self.index, command);
        let link = Link {
            lanes,
            channels,
            control,
            gap,
        };
        Ok((link, round))
    }

    fn has_gap(&self, link: &Link) -> bool {
        link.gap
    }

    fn accept(&self) {
        self.server.accept();
    }

    fn refuse(&self, reason: PublishError) {
        self.control.lost(self.index, &reason.to_string());
        self.server.refuse(reason);
    }

    async fn serve(&self, link: &mut Link) -> String {
        let Self { shared, server, .. } = self;
        tokio::select! {
            reason = server.failure() => reason,
            reason = lanes::take(link.lanes.clone(), shared, self.index) => reason,
            reason = channels::fetch(link.channels.clone(), shared, self.index) => reason,
            reason = self.follow() => reason,
            reason = listen(&mut link.control, self) => reason,
            never = self.control.beat(self.index) => match never {},
            reason = heartbeat::run(shared, server, &self.memberships, &self.role) => reason,
        }
    }

    async fn idle(&self) {
        self.outgoing.idle().await;
    }

    async fn leave(&self, _: &mut Link) -> Result<(), String> {
        self.control.leave(self.index).await;
        self.memberships.clear();
        let unread = reaper::leave(&self.shared, &self.server).await?;
        if unread > 0 {
            self.shared.metrics.dropped.closed.inc_by(unread);
            tracing::warn!(
                unread,
                "messages for this node were left in redis when it went"
            );
        }
        Ok(())
    }

    async fn end(&self, link: Link) {
        drop(link);
    }
}

impl CoreHost {
    async fn set_up(
        &self,
        connection: &mut MultiplexedConnection,
        subscriber: &mut PubSub,
    ) -> Result<(), String> {
        if is_in_cluster(connection).await {
            return Err(IN_CLUSTER.into());
        }
        self.role.ask(connection).await?;
        let loaded = script::load(connection).await;
        loaded.map_err(|error| error.to_string())?;
        let subscribed = subscriber.subscribe(&self.control.subscribed).await;
        subscribed.map_err(|error| error.to_string())
    }

    /// Makes the host know what is wanted now; says whether there is a gap. The keeper opens the line
    /// for publishes after that.
    async fn restore(&self) -> Result<(Round, bool), String> {
        let Self { shared, server, .. } = self;
        heartbeat::read_clock(server).await?;
        let forgotten = heartbeat::is_forgotten(shared, server).await?;
        let gap = forgotten
            || heartbeat::absence(shared, server).await? > shared.options.expiry.as_secs_f64();
        heartbeat::announce(shared, server).await?;
        let round = self.subscriptions.connected();
        self.memberships
            .restore(shared, server, &round, forgotten)
            .await?;
        Ok((round, gap))
    }

    /// Keeps what Redis has equal to what the node wants.
    async fn follow(&self) -> String {
        loop {
            let round = self.subscriptions.next().await;
            if let Err(reason) = self
                .memberships
                .apply(&self.shared, &self.server, &round)
                .await
            {
                return reason;
            }
            self.subscriptions.acknowledged(round);
        }
    }
}

/// Takes what other nodes say. Returns when the connection is silent for longer than the signs of
/// life of this node take to come back over it.
async fn listen(subscriber: &mut PubSub, host: &CoreHost) -> String {
    let limit = BEAT + host.shared.pace.timeout;
    let (pulse, mut messages) = (Pulse::new(), subscriber.on_message());
    loop {
        match pulse.wait(limit, messages.next()).await {
            Some(Some(message)) => {
                pulse.beat();
                let wire = message.get_payload_bytes();
                host.control.arrived(host.index, wire);
            }
            Some(None) => return "the connection for control messages was closed".into(),
            None => return format!("no control message came within {limit:?}"),
        }
    }
}

async fn connections(
    client: &redis::Client,
) -> Result<([MultiplexedConnection; 3], PubSub), RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None);
    let one = async || {
        client
            .get_multiplexed_async_connection_with_config(&config)
            .await
    };
    let commands = [one().await?, one().await?, one().await?];
    Ok((commands, client.get_async_pubsub().await?))
}
