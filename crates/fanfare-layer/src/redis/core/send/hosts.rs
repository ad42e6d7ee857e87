//! The servers as publishing sees them.

use std::sync::Arc;

use futures_util::future::join_all;
use redis::{Pipeline, Value};

use crate::redis::core::host::commands::CommandConnection;
use crate::redis::core::keys::Keys;
use crate::redis::core::shared::Shared;
use crate::redis::options::core::CoreOptions;
use crate::{LayerMetrics, PublishError};

/// What a host said to a pipeline.
pub(super) type Answers = Result<Vec<Value>, PublishError>;

/// The servers as publishing sees them.
pub(in crate::redis::core) struct Hosts {
    pub(super) keys: Arc<Keys>,
    pub(super) options: CoreOptions,
    pub(super) servers: Vec<Arc<CommandConnection>>,
    pub(super) metrics: LayerMetrics,
    /// The host whose turn it is to get a message for a normal channel.
    turn: usize,
}

impl Hosts {
    pub(in crate::redis::core) fn new(shared: &Shared) -> Self {
        Self {
            keys: shared.keys.clone(),
            options: shared.options.clone(),
            servers: shared.servers.clone(),
            metrics: shared.metrics.clone(),
            turn: 0,
        }
    }

    /// Sends each host its commands, all of them at once. A host that has failed to answer before
    /// is not waited for again.
    pub(super) async fn ask_all(&self, commands: impl Iterator<Item = &Pipeline>) -> Vec<Answers> {
        let asked = self.servers.iter().zip(commands);
        let answers = asked.map(async |(server, commands)| {
            server.check()?;
            server.ask(commands).await
        });
        join_all(answers).await
    }

    /// Where the next message for a normal channel goes. Its receivers look everywhere, so a host
    /// that is down has no turn.
    pub(super) fn next_host(&mut self) -> usize {
        let hosts = self.servers.len().max(1);
        let takes = |at: &usize| {
            let server = self.servers.get(*at);
            server.is_some_and(|server| server.check().is_ok())
        };
        let mut turns = (0..hosts).map(|step| (self.turn + step) % hosts);
        let host = turns.find(takes).unwrap_or(self.turn % hosts);
        self.turn = host + 1;
        host
    }

    /// How long messages may wait, in whole seconds as Redis counts them.
    pub(super) fn expiry(&self) -> u64 {
        self.options.expiry.as_secs().max(1)
    }

    /// The greatest score, on a host, of memberships that have lapsed.
    pub(super) fn lapsed(&self, host: usize) -> i64 {
        let now = self.servers.get(host).map_or(0.0, |server| server.now());
        let lasting = i64::try_from(self.options.group_expiry.as_secs()).unwrap_or(i64::MAX);
        (now as i64).saturating_sub(lasting)
    }
}
