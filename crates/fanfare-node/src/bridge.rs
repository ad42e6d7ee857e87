//! The bridge actor: it owns the layer's streams of a node. What arrives it hands to the
//! directory, which knows the workers; what the directory wants subscribed it tells the layer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use actix::fut::wrap_future;
use actix::{Actor, ActorFutureExt as _, AsyncContext as _, Context, StreamHandler};
use fanfare_layer::{Delivery, Full, Sink as _, SubscribeError, Subscription, Undelivered};
use fanfare_protocol::GroupName;
use futures_util::Stream;
use prometheus::IntCounter;

use crate::node::Shared;
use crate::supervise::Lifeline;

/// Groups asked for in one turn.
const SUBSCRIBE_BATCH: usize = 500;
/// How often emptied groups are looked at.
const SWEEP: Duration = Duration::from_millis(250);

/// The actor that reads the layer's stream of a node and asks the layer for its groups.
pub(crate) struct Bridge {
    node: Arc<Shared>,
    _lifeline: Lifeline,
}

impl Bridge {
    pub(crate) fn new(node: Arc<Shared>, lifeline: Lifeline) -> Self {
        node.directory.restart_changes();
        Self {
            node,
            _lifeline: lifeline,
        }
    }

    /// One request a group: a host that is away does not keep the groups of the others waiting.
    fn subscribe(&self, group: GroupName, context: &mut Context<Self>) {
        let groups = [group];
        let asked = self.node.layer.subscribe(subscriptions(&groups));
        context.spawn(wrap_future::<_, Self>(asked).map(
            move |answer, bridge, context| match answer {
                Ok(()) => bridge.node.directory.subscribed(&groups),
                Err(SubscribeError(reason)) => {
                    // Those who wait longer than they may answer 503 by themselves.
                    tracing::debug!(reason, "a group was not subscribed");
                    context.run_later(SWEEP, move |bridge, _| {
                        bridge.node.directory.refused(&groups);
                    });
                }
            },
        ));
    }

    fn sweep(&mut self, context: &mut Context<Self>) {
        let leaving = self.node.directory.start_leaving(Instant::now());
        if leaving.is_empty() {
            return;
        }
        let asked = self.node.layer.unsubscribe(subscriptions(&leaving));
        context.spawn(wrap_future::<_, Self>(asked).map(move |answer, bridge, _| {
            if let Err(SubscribeError(reason)) = answer {
                tracing::warn!(
                    groups = leaving.len(),
                    reason,
                    "groups were not unsubscribed"
                );
            }
            bridge.node.directory.left(&leaving, &bridge.node.metrics);
        }));
    }

    fn deliver(&self, batch: Vec<Delivery>, context: &mut Context<Self>) {
        let lost = self.node.metrics.dropped.bridge_panic.clone();
        let mut rest = Rest {
            batch: batch.into_iter(),
            lost,
        };
        while let Some(delivery) = rest.batch.next() {
            if let Some(full) = self.node.offer(delivery) {
                // Await backward: the stream is not read until the worker has room. Its queue is
                // bounded and counts what it has to drop.
                let node = Arc::clone(&self.node);
                context.wait(wrap_future(deliver_slowly(node, full, rest)));
                return;
            }
        }
    }
}

/// What is left of a batch; counted as lost when a panic takes the bridge away with it.
struct Rest {
    batch: std::vec::IntoIter<Delivery>,
    lost: IntCounter,
}

impl Drop for Rest {
    fn drop(&mut self) {
        self.lost.inc_by(self.batch.len() as u64);
    }
}

async fn deliver_slowly(node: Arc<Shared>, full: Full, mut rest: Rest) {
    let mut blocked = Some(full);
    loop {
        match blocked {
            Some(Full { delivery, room }) => {
                room.await;
                blocked = node.offer(delivery);
            }
            None => match rest.batch.next() {
                Some(delivery) => blocked = node.offer(delivery),
                None => return,
            },
        }
    }
}

impl Shared {
    /// Hands a delivery to the directory; it comes back when that has no room for now.
    fn offer(&self, delivery: Delivery) -> Option<Full> {
        match self.directory.deliver(delivery) {
            Ok(()) => None,
            Err(Undelivered::Full(full)) => Some(full),
            Err(Undelivered::ChannelFull(_)) => {
                self.metrics.dropped.queue_full.inc();
                None
            }
        }
    }
}

fn subscriptions(groups: &[GroupName]) -> Vec<Subscription> {
    groups.iter().cloned().map(Subscription::Group).collect()
}

impl Actor for Bridge {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.add_stream(self.node.layer.stream());
        context.add_stream(Wanted(Arc::clone(&self.node)));
        context.run_interval(SWEEP, Self::sweep);
    }
}

impl StreamHandler<Vec<Delivery>> for Bridge {
    fn handle(&mut self, batch: Vec<Delivery>, context: &mut Self::Context) {
        self.deliver(batch, context);
    }

    fn finished(&mut self, _: &mut Self::Context) {
        // The layer was closed: nothing arrives any more, subscriptions are still taken back.
    }
}

/// Groups to subscribe, in batches, as sessions join them.
struct Wanted(Arc<Shared>);

/// A batch of [`Wanted`].
struct Subscribe(Vec<GroupName>);

impl Stream for Wanted {
    type Item = Subscribe;

    fn poll_next(self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<Option<Subscribe>> {
        let Some(changes) = &self.0.directory.changes else {
            return Poll::Ready(None);
        };
        changes.bridge.register(context.waker());
        let groups = self.0.directory.take_wanted(SUBSCRIBE_BATCH);
        if groups.is_empty() {
            Poll::Pending
        } else {
            Poll::Ready(Some(Subscribe(groups)))
        }
    }
}

impl StreamHandler<Subscribe> for Bridge {
    fn handle(&mut self, Subscribe(groups): Subscribe, context: &mut Self::Context) {
        for group in groups {
            self.subscribe(group, context);
        }
    }

    fn finished(&mut self, _: &mut Self::Context) {}
}

#[cfg(feature = "fault")]
impl actix::Handler<crate::supervise::Crash> for Bridge {
    type Result = ();

    #[expect(clippy::panic, reason = "the fault that tests inject")]
    fn handle(&mut self, _: crate::supervise::Crash, _: &mut Self::Context) {
        panic!("injected into the bridge");
    }
}
