//! Asking other nodes, and the connections that control messages go over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fanfare_protocol::NodeId;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use tokio::sync::{Semaphore, watch};
use tokio::time::{timeout, timeout_at};

use super::live::LiveNodes;
use super::message::{Content, Message};
use super::pending::PendingRequests;
use crate::control::{
    ControlChannel, ControlError, ControlHandler, ControlReplies, ControlTarget, ask_here,
    check_size,
};
use crate::redis::options::RedisOptions;
use crate::{LayerMetrics, Throttle};

/// Tasks at once that answer other nodes.
const ANSWERING: usize = 64;

/// This node's end of the control channel, over all hosts.
pub(in crate::redis) struct RedisControl {
    pub(super) node: NodeId,
    prefix: String,
    /// The Redis channel of this node, and that of all nodes.
    pub(in crate::redis) subscribed: [String; 2],
    pub(super) handler: watch::Sender<Option<Arc<dyn ControlHandler>>>,
    pub(super) live: Mutex<LiveNodes>,
    pub(super) pending: Arc<PendingRequests>,
    /// The connection to each host, or why there is none.
    hosts: Vec<Mutex<Result<MultiplexedConnection, String>>>,
    pub(super) answering: Arc<Semaphore>,
    pub(super) metrics: LayerMetrics,
    pub(super) refusals: Throttle,
    /// How long Redis may take to answer.
    limit: Duration,
    pub(super) closing: AtomicBool,
}

impl RedisControl {
    pub(in crate::redis) fn new(options: &RedisOptions, metrics: LayerMetrics) -> Self {
        let prefix = &options.prefix;
        let unheard = |host| Mutex::new(Err(format!("{host} has not answered yet")));
        Self {
            node: options.node,
            prefix: prefix.clone(),
            subscribed: [
                node_channel(prefix, options.node),
                format!("fanfare:{prefix}:control"),
            ],
            handler: watch::channel(None).0,
            live: Mutex::default(),
            pending: Arc::default(),
            hosts: options.hosts.iter().map(unheard).collect(),
            answering: Arc::new(Semaphore::new(ANSWERING)),
            metrics,
            refusals: Throttle::default(),
            limit: options.pace.timeout,
            closing: AtomicBool::new(false),
        }
    }

    /// Control messages can go over this connection, whose host this node is subscribed on.
    pub(in crate::redis) fn connected(&self, host: usize, connection: MultiplexedConnection) {
        if let Some(state) = self.hosts.get(host) {
            *state.lock() = Ok(connection);
        }
    }

    /// The host is lost. Requests over it fail.
    pub(in crate::redis) fn lost(&self, host: usize, reason: &str) {
        if let Some(state) = self.hosts.get(host) {
            *state.lock() = Err(reason.to_owned());
        }
        self.pending.lost(host, reason);
    }

    /// Gives no sign of life any more: the layer is closing.
    pub(in crate::redis) fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    /// Says to all nodes that this one leaves.
    pub(in crate::redis) async fn leave(&self, host: usize) {
        if self.handler.borrow().is_none() {
            return;
        }
        self.close();
        let left = self.say(host, &self.subscribed[1], Content::Leave).await;
        if let Err(reason) = left {
            tracing::debug!(
                reason,
                "the other nodes were not told that this node leaves"
            );
        }
    }

    pub(super) async fn say(
        &self,
        host: usize,
        channel: &str,
        content: Content,
    ) -> Result<(), String> {
        let from = self.node;
        self.send(host, channel, &Message { from, content }.encode())
            .await
    }

    pub(super) fn channel_of(&self, node: NodeId) -> String {
        node_channel(&self.prefix, node)
    }

    /// The connection for commands to a host, or why there is none.
    pub(in crate::redis) fn connection(
        &self,
        host: usize,
    ) -> Result<MultiplexedConnection, String> {
        let connection = self.hosts.get(host).map(|state| state.lock().clone());
        connection.ok_or("no host is configured")?
    }

    async fn send(&self, host: usize, channel: &str, wire: &Bytes) -> Result<(), String> {
        let mut connection = self.connection(host)?;
        let mut command = redis::cmd("PUBLISH");
        command.arg(channel).arg(wire.as_ref());
        let sent = timeout(self.limit, command.query_async::<()>(&mut connection)).await;
        sent.map_err(|_| format!("no answer within {:?}", self.limit))?
            .map_err(|error| error.to_string())
    }

    async fn ask_others(
        &self,
        to: ControlTarget,
        command: Bytes,
        deadline: Duration,
    ) -> Result<ControlReplies, ControlError> {
        let until = tokio::time::Instant::now() + deadline;
        let (channel, expected) = match to {
            ControlTarget::Node(node) => (self.channel_of(node), [node].into_iter().collect()),
            ControlTarget::All => {
                let others = self.live.lock().all(Instant::now()).collect();
                (self.subscribed[1].clone(), others)
            }
        };
        let id = random_id()?;
        let mut request = self.pending.begin(id, to, expected)?;
        let wire = Message {
            from: self.node,
            content: Content::Ask {
                id,
                millis: u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX),
                body: command,
            },
        };
        let wire = wire.encode();
        let sent = async {
            let mut outcome = Err("no host is configured".to_owned());
            let first = usize::try_from(id).unwrap_or(0);
            for turn in 0..self.hosts.len() {
                let host = first.wrapping_add(turn) % self.hosts.len();
                request.goes_over(host);
                outcome = self.send(host, &channel, &wire).await;
                if outcome.is_ok() {
                    break;
                }
            }
            outcome
        };
        let sent = timeout_at(until, sent).await;
        sent.unwrap_or_else(|_| Err("no answer within the deadline".into()))
            .map_err(ControlError::Down)?;
        // At the deadline whoever is silent is missing.
        let _ = timeout_at(until, request.done()).await;
        request.finish()
    }
}

impl ControlChannel for RedisControl {
    fn ask(
        self: Arc<Self>,
        to: ControlTarget,
        command: Bytes,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<ControlReplies, ControlError>> {
        async move {
            check_size(&command)?;
            let handler = self.handler.borrow().clone();
            let own = async {
                Ok(match handler {
                    Some(handler) => {
                        let itself = (self.node, self.node);
                        ask_here(handler, itself, command.clone(), deadline).await
                    }
                    None => ControlReplies::default(),
                })
            };
            if to == ControlTarget::Node(self.node) {
                return own.await;
            }
            let others = self.ask_others(to, command.clone(), deadline);
            if to != ControlTarget::All {
                return others.await;
            }
            let (mut replies, own) = tokio::try_join!(others, own)?;
            replies.add(own);
            Ok(replies)
        }
        .boxed()
    }

    fn serve(&self, handler: Arc<dyn ControlHandler>) {
        self.handler.send_replace(Some(handler));
    }

    fn nodes(&self) -> Vec<NodeId> {
        let own = self.handler.borrow().is_some().then_some(self.node);
        self.live.lock().all(Instant::now()).chain(own).collect()
    }
}

/// The Redis channel of a node. It is outside the layer's prefix, because a flush of
/// channels_redis deletes by prefix.
pub(in crate::redis) fn node_channel(prefix: &str, node: NodeId) -> String {
    format!("fanfare:{prefix}:node:{node}")
}

fn random_id() -> Result<i64, ControlError> {
    let id = getrandom::u64().map_err(|error| ControlError::Down(error.to_string()))?;
    // Without the sign: msgpack of other languages has one form for it.
    Ok((id >> 1).cast_signed())
}
