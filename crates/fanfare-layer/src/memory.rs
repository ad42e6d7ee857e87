//! The memory layer: publish is deliver.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use fanfare_protocol::{Envelope, NodeId, Target};
use futures_util::future::{self, BoxFuture};
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::watch;

use crate::control::{ControlChannel, LocalControl};
use crate::{
    ChannelLayer, Delivery, Full, LayerMetrics, Publish, PublishError, Sink, State, Status,
    SubscribeError, Subscription, Undelivered,
};

/// A layer of one process. What is published goes into the sink on the publisher's thread; the
/// order per target is the sink's.
pub struct MemoryLayer {
    entrance: Arc<Entrance>,
    control: Arc<LocalControl>,
    status: watch::Sender<Status>,
}

/// What a publish that waits for room shares with the layer.
struct Entrance {
    sink: Arc<dyn Sink>,
    metrics: LayerMetrics,
    closed: AtomicBool,
}

impl MemoryLayer {
    /// The layer of this node, which delivers into `sink`; up from the start.
    pub fn new(node: NodeId, sink: Arc<dyn Sink>, metrics: LayerMetrics) -> Self {
        metrics.up.set(1);
        let (status, _) = watch::channel(Status::new(State::Up));
        let entrance = Entrance {
            sink,
            metrics,
            closed: AtomicBool::new(false),
        };
        Self {
            entrance: Arc::new(entrance),
            control: Arc::new(LocalControl::new(node)),
            status,
        }
    }
}

impl Entrance {
    fn offer(self: &Arc<Self>, delivery: Delivery) -> Publish {
        if self.closed.load(Ordering::Acquire) {
            self.metrics.failures.closed.inc();
            return Publish::Done(Err(PublishError::Closed));
        }
        match self.sink.deliver(delivery) {
            Ok(()) => {
                self.metrics.published.inc();
                Publish::Done(Ok(()))
            }
            Err(Undelivered::Full(full)) => Publish::Full(self.clone().offer_again(full)),
            Err(Undelivered::ChannelFull(full)) => {
                self.metrics.failures.channel_full.inc();
                Publish::Done(Err(full.into()))
            }
        }
    }

    fn offer_again(self: Arc<Self>, full: Full) -> BoxFuture<'static, Publish> {
        let mut waiting = Waiting {
            entrance: self,
            admitted: false,
        };
        async move {
            full.room.await;
            waiting.admitted = true;
            waiting.entrance.offer(full.delivery)
        }
        .boxed()
    }
}

/// A publisher that waits for room; one that gives up is counted.
struct Waiting {
    entrance: Arc<Entrance>,
    admitted: bool,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.admitted {
            self.entrance.metrics.failures.abandoned.inc();
        }
    }
}

impl ChannelLayer for MemoryLayer {
    fn publish(&self, target: Target, envelope: Arc<Envelope>) -> Publish {
        self.entrance.offer(Delivery {
            target,
            envelope,
            arrived: Instant::now(),
        })
    }

    fn subscribe(&self, _: Vec<Subscription>) -> BoxFuture<'static, Result<(), SubscribeError>> {
        let closed = self.entrance.closed.load(Ordering::Acquire);
        let answer = if closed {
            Err(SubscribeError("it is closed".into()))
        } else {
            Ok(())
        };
        future::ready(answer).boxed()
    }

    fn unsubscribe(&self, _: Vec<Subscription>) -> BoxFuture<'static, Result<(), SubscribeError>> {
        future::ready(Ok(())).boxed()
    }

    fn stream(&self) -> BoxStream<'static, Vec<Delivery>> {
        stream::pending().boxed()
    }

    fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    fn control(&self) -> Arc<dyn ControlChannel> {
        self.control.clone()
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.control.close();
        if !self.entrance.closed.swap(true, Ordering::AcqRel) {
            self.entrance.metrics.up.set(0);
            self.status.send_replace(Status::new(State::Down));
        }
        future::ready(()).boxed()
    }
}
