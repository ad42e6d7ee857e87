//! A layer that misbehaves as a test wants it.

use std::sync::Arc;

use fanfare_layer::{
    ChannelLayer, ControlChannel, Delivery, LeaseStore, MemoryLayer, Publish, Status,
    SubscribeError, Subscription,
};
use fanfare_protocol::{Envelope, Target};
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use tokio::sync::watch;

/// What a subscription answers.
pub type Subscribed = BoxFuture<'static, Result<(), SubscribeError>>;

type OnPublish = dyn Fn(&Arc<MemoryLayer>, Target, Arc<Envelope>) -> Publish + Send + Sync;
type OnSubscribe = dyn Fn(&MemoryLayer, Vec<Subscription>) -> Subscribed + Send + Sync;

/// A memory layer of which a test replaces some answers.
pub struct LayerDouble {
    memory: Arc<MemoryLayer>,
    publish: Box<OnPublish>,
    subscribe: Box<OnSubscribe>,
    unsubscribe: Box<OnSubscribe>,
    status: watch::Receiver<Status>,
}

impl LayerDouble {
    /// Answers as the memory layer does.
    pub fn new(memory: MemoryLayer) -> Self {
        Self {
            status: memory.status(),
            memory: Arc::new(memory),
            publish: Box::new(|memory, target, envelope| memory.publish(target, envelope)),
            subscribe: Box::new(|memory, wanted| memory.subscribe(wanted)),
            unsubscribe: Box::new(|memory, left| memory.unsubscribe(left)),
        }
    }

    /// Replaces what becomes of a publish.
    #[must_use]
    pub fn on_publish<F>(mut self, publish: F) -> Self
    where
        F: Fn(&Arc<MemoryLayer>, Target, Arc<Envelope>) -> Publish + Send + Sync + 'static,
    {
        self.publish = Box::new(publish);
        self
    }

    /// Replaces what becomes of subscriptions.
    #[must_use]
    pub fn on_subscribe<F>(mut self, subscribe: F) -> Self
    where
        F: Fn(&MemoryLayer, Vec<Subscription>) -> Subscribed + Send + Sync + 'static,
    {
        self.subscribe = Box::new(subscribe);
        self
    }

    /// Replaces what becomes of subscriptions that are taken back.
    #[must_use]
    pub fn on_unsubscribe<F>(mut self, unsubscribe: F) -> Self
    where
        F: Fn(&MemoryLayer, Vec<Subscription>) -> Subscribed + Send + Sync + 'static,
    {
        self.unsubscribe = Box::new(unsubscribe);
        self
    }

    /// Replaces the state.
    #[must_use]
    pub fn with_status(mut self, status: watch::Receiver<Status>) -> Self {
        self.status = status;
        self
    }
}

impl ChannelLayer for LayerDouble {
    fn publish(&self, target: Target, envelope: Arc<Envelope>) -> Publish {
        (self.publish)(&self.memory, target, envelope)
    }

    fn subscribe(&self, subscriptions: Vec<Subscription>) -> Subscribed {
        (self.subscribe)(&self.memory, subscriptions)
    }

    fn unsubscribe(&self, subscriptions: Vec<Subscription>) -> Subscribed {
        (self.unsubscribe)(&self.memory, subscriptions)
    }

    fn stream(&self) -> BoxStream<'static, Vec<Delivery>> {
        self.memory.stream()
    }

    fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    fn control(&self) -> Arc<dyn ControlChannel> {
        self.memory.control()
    }

    fn leases(&self) -> Arc<dyn LeaseStore> {
        self.memory.leases()
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.memory.close()
    }
}
