use std::sync::Arc;
use std::time::Duration;

use fanfare_layer::{
    ChannelLayer, ControlChannel, Delivery, MemoryLayer, Publish, Status, SubscribeError,
    Subscription,
};
use fanfare_protocol::{Envelope, Target};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use tokio::sync::{Semaphore, watch};

use super::client::handshake;
use super::rig::{Options, Rig, group, shared_over, until};

/// A layer that acknowledges a subscription when it is let.
struct Reluctant {
    memory: MemoryLayer,
    let_go: Arc<Semaphore>,
}

impl ChannelLayer for Reluctant {
    fn publish(&self, target: Target, envelope: Arc<Envelope>) -> Publish {
        self.memory.publish(target, envelope)
    }

    fn subscribe(
        &self,
        subscriptions: Vec<Subscription>,
    ) -> BoxFuture<'static, Result<(), SubscribeError>> {
        let let_go = Arc::clone(&self.let_go);
        let subscribed = self.memory.subscribe(subscriptions);
        async move {
            let _held = let_go.acquire().await.unwrap();
            subscribed.await
        }
        .boxed()
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
        self.memory.status()
    }

    fn control(&self) -> Arc<dyn ControlChannel> {
        self.memory.control()
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.memory.close()
    }
}

fn reluctant(handshake_timeout: Duration) -> (Rig, Arc<Semaphore>) {
    let let_go = Arc::new(Semaphore::new(0));
    let own = Arc::clone(&let_go);
    let shared = shared_over(true, |memory| {
        Arc::new(Reluctant {
            memory,
            let_go: own,
        })
    });
    let options = Options {
        handshake_timeout,
        ..Options::default()
    };
    (Rig::over(shared, options).unwrap(), let_go)
}

#[actix_web::test]
async fn a_client_that_goes_before_its_groups_are_acknowledged_leaves_nothing_behind() {
    let (rig, let_go) = reluctant(Options::default().handshake_timeout);
    let client = rig.ask(&handshake("/ws/a")).await;
    until("it is seated", || rig.shared.node.members(&group("a")) == 1).await;
    assert_eq!(rig.shared.node.sessions(), 1);
    drop(client);
    let_go.add_permits(1);
    rig.until_empty().await;
}

#[actix_web::test]
async fn a_handshake_whose_groups_are_never_acknowledged_leaves_nothing_behind() {
    let (rig, _let_go) = reluctant(Duration::from_millis(300));
    let response = rig.ask(&handshake("/ws/a")).await.response().await;
    response.expect_whole(503);
    rig.until_empty().await;
}

#[actix_web::test]
async fn an_admitted_client_that_goes_before_its_101_leaves_nothing_behind() {
    let rig = Rig::new();
    let client = rig.ask(&handshake("/hold/a")).await;
    rig.shared.admitted.acquire().await.unwrap().forget();
    assert_eq!(rig.shared.node.sessions(), 1);
    drop(client);
    rig.shared.release.add_permits(1);
    rig.until_empty().await;
}
