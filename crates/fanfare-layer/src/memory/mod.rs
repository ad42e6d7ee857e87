//! The memory layer: publish is deliver.
//!
//! - `bus`: what several nodes of a process share, in place of Redis;
//! - `control`, `leases`: commands between these nodes, and their leases.

mod bus;
mod control;
mod leases;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use fanfare_protocol::{Envelope, NodeId, Target};
use futures_util::future::{self, BoxFuture};
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::watch;

use crate::control::ControlChannel;
use crate::lease::LeaseStore;
use crate::{
    ChannelLayer, CloseEvents, Delivery, Full, LayerMetrics, Publish, PublishError, Sink, State,
    Status, SubscribeError, Subscription, Undelivered,
};

pub use bus::MemoryBus;
use bus::Shared;
use control::MemoryControl;

/// A layer of one process. What is published goes into the sink on the publisher's thread; the
/// order per target is the sink's.
pub struct MemoryLayer {
    entrance: Arc<Entrance>,
    /// What it shares with the other nodes of its bus.
    bus: Arc<Shared>,
    /// Whether there may be other nodes.
    has_bus: bool,
    control: Arc<MemoryControl>,
    status: watch::Sender<Status>,
}

/// What a publish that waits for room shares with the layer.
struct Entrance {
    node: NodeId,
    sink: Arc<dyn Sink>,
    metrics: LayerMetrics,
    close_events: CloseEvents,
    closed: AtomicBool,
}

impl MemoryLayer {
    /// The layer of this node alone, which delivers into `sink`; up from the start.
    pub fn new(node: NodeId, sink: Arc<dyn Sink>, metrics: LayerMetrics) -> Self {
        Self::with_close_events(node, sink, metrics, CloseEvents::Ignored)
    }

    /// The same, where events of type `fanfare.close` may close sessions.
    pub fn with_close_events(
        node: NodeId,
        sink: Arc<dyn Sink>,
        metrics: LayerMetrics,
        close_events: CloseEvents,
    ) -> Self {
        let entrance = Entrance::new(node, sink, metrics, close_events);
        Self::over(Arc::default(), entrance, false)
    }

    /// The layer of one of several nodes; up from the start.
    pub fn on(bus: &MemoryBus, node: NodeId, sink: Arc<dyn Sink>, metrics: LayerMetrics) -> Self {
        let entrance = Entrance::new(node, sink, metrics, CloseEvents::Ignored);
        bus.shared.join(&entrance);
        Self::over(bus.shared.clone(), entrance, true)
    }

    fn over(bus: Arc<Shared>, entrance: Arc<Entrance>, has_bus: bool) -> Self {
        entrance.metrics.up.set(1);
        let (status, _) = watch::channel(Status::new(State::Up));
        let control = MemoryControl {
            node: entrance.node,
            handlers: bus.handlers.clone(),
        };
        Self {
            entrance,
            bus,
            has_bus,
            control: Arc::new(control),
            status,
        }
    }
}

impl Entrance {
    fn new(
        node: NodeId,
        sink: Arc<dyn Sink>,
        metrics: LayerMetrics,
        close_events: CloseEvents,
    ) -> Arc<Self> {
        Arc::new(Self {
            node,
            sink,
            metrics,
            close_events,
            closed: AtomicBool::new(false),
        })
    }

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
        let entrance = &self.entrance;
        let envelope = match entrance.close_events.apply(&target, envelope) {
            Ok(envelope) => envelope,
            Err(reason) => {
                entrance.metrics.dropped.bad_close.inc();
                tracing::warn!(reason, "an event that should close sessions is dropped");
                return Publish::Done(Ok(()));
            }
        };
        let delivery = Delivery {
            target,
            envelope,
            arrived: Instant::now(),
        };
        match self.has_bus {
            true => self.bus.offer(&self.entrance, delivery),
            false => self.entrance.offer(delivery),
        }
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

    fn leases(&self) -> Arc<dyn LeaseStore> {
        self.bus.leases.clone()
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.control.close();
        self.bus.leave(&self.entrance);
        if !self.entrance.closed.swap(true, Ordering::AcqRel) {
            self.entrance.metrics.up.set(0);
            self.status.send_replace(Status::new(State::Down));
        }
        future::ready(()).boxed()
    }
}
