//! The bridge actor: it owns the layer's streams of a node. What arrives it hands to the
//! directory, which knows the workers; what the directory wants subscribed it tells the layer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use actix::fut::wrap_future;
use actix::{Actor, ActorFutureExt as _, AsyncContext as _, Context, StreamHandler};
use fanfare_layer::{Delivery, SubscribeError, Subscription};
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, FuturesUnordered};
use futures_util::{FutureExt as _, Stream, StreamExt as _};

use crate::directory::{Batch, Request, Requests};
use crate::node::Shared;
use crate::supervise::Lifeline;
use crate::worker::wake_after_look;

/// Groups asked for in one turn.
const SUBSCRIBE_BATCH: usize = 500;
/// How often emptied groups are looked at.
const SWEEP: Duration = Duration::from_millis(250);

/// The actor that reads the layer's stream of a node and asks the layer for its groups.
pub(crate) struct Bridge {
    node: Arc<Shared>,
    requests: Requests,
    _lifeline: Lifeline,
}

impl Bridge {
    pub(crate) fn new(node: Arc<Shared>, lifeline: Lifeline) -> Self {
        let requests = Requests::new(Arc::clone(&node.directory));
        Self {
            node,
            requests,
            _lifeline: lifeline,
        }
    }

    /// Takes back what emptied groups had, and asks again for what was refused.
    fn sweep(&mut self, context: &mut Context<Self>) {
        let leaving = self.requests.sweep(Instant::now());
        if leaving.is_empty() {
            return;
        }
        let subscriptions = leaving.iter().cloned().map(Subscription::Group).collect();
        let asked = self.node.layer.unsubscribe(subscriptions);
        context.spawn(wrap_future::<_, Self>(asked).map(move |answer, bridge, _| {
            bridge.requests.unsubscribed(&leaving, answer);
        }));
    }
}

impl Actor for Bridge {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.add_stream(Arrivals {
            stream: self.node.layer.stream(),
            handed: false,
        });
        context.add_stream(Asking {
            node: Arc::clone(&self.node),
            asked: FuturesUnordered::new(),
        });
        context.run_interval(SWEEP, Self::sweep);
    }
}

/// What arrives from the layer; between two batches of it the thread looks at its sockets, because
/// it may have sessions too.
struct Arrivals {
    stream: BoxStream<'static, Vec<Delivery>>,
    /// A batch has just been handed on.
    handed: bool,
}

impl Stream for Arrivals {
    type Item = Vec<Delivery>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.handed) {
            wake_after_look(task);
            return Poll::Pending;
        }
        let batch = self.stream.poll_next_unpin(task);
        self.handed = batch.is_ready();
        batch
    }
}

impl StreamHandler<Vec<Delivery>> for Bridge {
    fn handle(&mut self, batch: Vec<Delivery>, _: &mut Self::Context) {
        Batch::new(&self.node.directory, batch).hand_off();
    }

    fn finished(&mut self, _: &mut Self::Context) {
        // The layer was closed: nothing arrives any more, subscriptions are still taken back.
    }
}

/// The layer's answer to the request for one group.
struct Answered(Request, Result<(), SubscribeError>);

/// Asks the layer for groups as sessions join them: one request a group, so that a host that is
/// away does not keep the groups of the others waiting. Yields the answers.
struct Asking {
    node: Arc<Shared>,
    asked: FuturesUnordered<BoxFuture<'static, Answered>>,
}

impl Asking {
    /// Asks for the groups that are wanted; whoever wants another one wakes this task.
    fn ask(&mut self, task: &TaskContext<'_>) {
        let directory = &self.node.directory;
        for request in directory.next_requests(SUBSCRIBE_BATCH, task.waker()) {
            let wanted = vec![Subscription::Group(request.group.clone())];
            let answer = self.node.layer.subscribe(wanted);
            let answered = answer.map(|answer| Answered(request, answer));
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
    fn handle(&mut self, Answered(request, answer): Answered, _: &mut Self::Context) {
        self.requests.answered(request, answer);
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
