//! One host: what its links have in common, and whether it takes writes.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use redis::aio::MultiplexedConnection;

use super::keys::Keys;
use super::unpack::Bodies;
use crate::LayerMetrics;
use crate::redis::connection::subscriptions::Subscriptions;
use crate::redis::control::channel::RedisControl;
use crate::redis::hosts::role::{RoleCheck, answer_of, is_in_cluster};
use crate::redis::options::RedisPace;
use crate::redis::queue::incoming::Incoming;
use crate::redis::queue::outgoing::{Outgoing, Work};

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

impl PubSubHost {
    /// Checks that the server passes on what is published there, by its answer about its role. In a
    /// Redis Cluster every server does.
    pub(super) async fn judge(
        &self,
        role: &redis::Value,
        publisher: &mut MultiplexedConnection,
    ) -> Result<(), String> {
        match self.role.judge(role) {
            Err(_) if is_in_cluster(publisher).await => Ok(()),
            judged => judged,
        }
    }

    pub(super) async fn is_master(
        &self,
        publisher: &mut MultiplexedConnection,
    ) -> Result<(), String> {
        let role = answer_of(publisher).await?;
        self.judge(&role, publisher).await
    }
}
