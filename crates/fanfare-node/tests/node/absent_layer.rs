//! A node whose layer has never answered.

use std::sync::Arc;
use std::time::Duration;

use fanfare_layer::{
    ChannelLayer, ControlChannel, Delivery, MemoryLayer, Publish, State, Status, SubscribeError,
    Subscription,
};
use fanfare_node::AdmitError;
use fanfare_protocol::{Envelope, Target};
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::client::{Rig, group, options};

/// A layer that is not connected until the test says so, and writes down what it is asked for.
struct Absent {
    memory: MemoryLayer,
    asked: Arc<Mutex<Vec<Subscription>>>,
    status: watch::Receiver<Status>,
}

impl ChannelLayer for Absent {
    fn publish(&self, target: Target, envelope: Arc<Envelope>) -> Publish {
        self.memory.publish(target, envelope)
    }

    fn subscribe(
        &self,
        subscriptions: Vec<Subscription>,
    ) -> BoxFuture<'static, Result<(), SubscribeError>> {
        self.asked.lock().extend(subscriptions.iter().cloned());
        self.memory.subscribe(subscriptions)
    }

    fn unsubscribe(
        &self,
        subscriptions: Vec<Subscription>,
    ) -> BoxFuture<'static, Result<(), SubscribeError>> {
        self.memory.unsubscribe(subscriptions)
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

    fn close(&self) -> BoxFuture<'static, ()> {
        self.memory.close()
    }
}

#[actix::test]
async fn a_layer_that_has_never_answered_is_asked_for_no_group_and_for_all_once_it_does() {
    let mut options = options();
    options.subscribes = true;
    options.join_timeout = Duration::from_millis(20);
    let (answers, receiver) = watch::channel(Status::new(State::Connecting));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&asked);
    let rig = Rig::over(options, |memory| {
        Arc::new(Absent {
            memory,
            asked: record,
            status: receiver,
        })
    });
    for name in ["a", "b", "c"] {
        assert_eq!(rig.open(&[name]).await.err(), Some(AdmitError::LayerDown));
    }
    assert_eq!(*asked.lock(), [], "groups that were only tried");
    assert_eq!(rig.node.groups(), []);

    answers.send_replace(Status::new(State::Up));
    let _open = rig.open(&["a"]).await.unwrap();
    let wanted = Subscription::Group(group("a"));
    assert!(asked.lock().contains(&wanted), "{:?}", asked.lock());
}
