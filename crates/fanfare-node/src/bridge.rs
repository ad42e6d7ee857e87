//! The bridge actor: it owns the layer's streams of a node. What arrives it hands to the
//! directory, which knows the workers; what the directory wants subscribed it tells the layer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use actix::fut::wrap_future;
use actix::{Actor, ActorFutureExt as _, AsyncContext as _, Context, StreamHandler};
use fanfare_layer::{Delivery, SubscribeError, Subscription};
use fanfare_protocol::GroupName;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, Stream, StreamExt as _};
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
    /// Groups that the layer has refused; they are asked for again at the next sweep.
    refused: Vec<GroupName>,
    _lifeline: Lifeline,
}

impl Bridge {
    pub(crate) fn new(node: Arc<Shared>, lifeline: Lifeline) -> Self {
        node.directory.restart_changes();
        Self {
            node,
            refused: Vec::new(),
            _lifeline: lifeline,
        }
    }

    /// Takes back what emptied groups had, and asks again for what was refused.
    fn sweep(&mut self, context: &mut Context<Self>) {
        self.node
            .directory
            .refused(&std::mem::take(&mut self.refused));
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

fn subscriptions(groups: &[GroupName]) -> Vec<Subscription> {
    groups.iter().cloned().map(Subscription::Group).collect()
}

impl Actor for Bridge {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.add_stream(self.node.layer.stream());
        context.add_stream(Asking {
            node: Arc::clone(&self.node),
            asked: FuturesUnordered::new(),
        });
        context.run_interval(SWEEP, Self::sweep);
    }
}

impl StreamHandler<Vec<Delivery>> for Bridge {
    /// Hands each delivery to the inboxes of the workers that have members, and waits for none.
    fn handle(&mut self, batch: Vec<Delivery>, _: &mut Self::Context) {
        let lost = self.node.metrics.dropped.bridge_panic.clone();
        let mut rest = Rest {
            batch: batch.into_iter(),
            lost,
        };
        for delivery in rest.batch.by_ref() {
            self.node.directory.hand_off(delivery);
        }
    }

    fn finished(&mut self, _: &mut Self::Context) {
        // The layer was closed: nothing arrives any more, subscriptions are still taken back.
    }
}

/// The layer's answer to the subscription of one group.
struct Answered(GroupName, Result<(), SubscribeError>);

/// Asks the layer for groups as sessions join them: one request a group, so that a host that is
/// away does not keep the groups of the others waiting. Yields the answers.
struct Asking {
    node: Arc<Shared>,
    asked: FuturesUnordered<BoxFuture<'static, Answered>>,
}

impl Asking {
    /// Asks for the groups that are wanted; whoever wants another one wakes this task.
    fn ask(&mut self, task: &TaskContext<'_>) {
        let Some(changes) = &self.node.directory.changes else {
            return;
        };
        changes.bridge.register(task.waker());
        for group in self.node.directory.take_wanted(SUBSCRIBE_BATCH) {
            let wanted = vec![Subscription::Group(group.clone())];
            let answer = self.node.layer.subscribe(wanted);
            let answered = answer.map(|answer| Answered(group, answer));
            self.asked.push(answered.boxed());
        }
    }
}

impl Stream for Asking {
    type Item = Answered;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Option<Answered>> {
        self.ask(task);
        match self.asked.poll_next_unpin(task) {
            Poll::Ready(Some(answered)) => Poll::Ready(Some(answered)),
            // Nothing is asked at the moment.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}

impl StreamHandler<Answered> for Bridge {
    fn handle(&mut self, Answered(group, answer): Answered, _: &mut Self::Context) {
        match answer {
            Ok(()) => self.node.directory.subscribed(&[group]),
            Err(SubscribeError(reason)) => {
                // Those who wait longer than they may answer 503 by themselves.
                tracing::debug!(reason, "a group was not subscribed");
                self.refused.push(group);
            }
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
