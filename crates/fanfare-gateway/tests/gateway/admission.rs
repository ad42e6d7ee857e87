use std::sync::Arc;
use std::time::Duration;

use fanfare_layer::ChannelLayer as _;
use fanfare_rig::LayerDouble;
use futures_util::FutureExt as _;
use tokio::sync::Semaphore;

use super::client::handshake;
use super::rig::{Options, Rig, group, shared_over, until};

/// A node whose layer acknowledges a subscription when it is let.
fn reluctant(handshake_timeout: Duration) -> (Rig, Arc<Semaphore>) {
    let let_go = Arc::new(Semaphore::new(0));
    let own = Arc::clone(&let_go);
    let shared = shared_over(true, |memory| {
        Arc::new(
            LayerDouble::new(memory).on_subscribe(move |memory, wanted| {
                let (let_go, subscribed) = (Arc::clone(&own), memory.subscribe(wanted));
                async move {
                    let _held = let_go.acquire().await.unwrap();
                    subscribed.await
                }
                .boxed()
            }),
        )
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
