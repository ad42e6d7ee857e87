//! What clients and publishers can do to a node's memory, its clock and its descriptors.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fanfare_layer::{ChannelLayer as _, Publish};
use fanfare_node::Socket;
use fanfare_protocol::Target;
use fanfare_rig::LayerDouble;
use futures_util::FutureExt as _;
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::sync::Semaphore;

use super::client::{Client, Frame, PATIENCE, Rig, group, options};

async fn read_all(mut client: Client) {
    while client.frame().await != Frame::End {}
}

#[actix::test]
async fn publishers_wait_when_the_fan_out_does_not_keep_up() {
    let mut options = options();
    options.limits.outbox_bytes = 1 << 30;
    let rig = Rig::new(options);
    let members = 300;
    let text = "x".repeat(1000);
    for _ in 0..members {
        actix_rt::spawn(read_all(rig.open(&["a"]).await.unwrap()));
    }
    for published in 1..=600 {
        rig.publish(Target::Group(group("a")), &text).await;
        if published % 100 == 0 {
            let delivered = rig.count("fanfare_events_delivered_total", "");
            let waiting = f64::from(published) - delivered / f64::from(members);
            // The inbox, as much again in the fan-out, and the batch that is half sent.
            assert!(
                waiting <= 64.0 + 64.0 + 64.0,
                "{waiting} of {published} events wait"
            );
        }
    }
    rig.until(
        "fanfare_events_delivered_total",
        "",
        600.0 * f64::from(members),
    )
    .await;
}

#[actix::test]
async fn publishers_of_large_events_wait_when_few_of_them_wait() {
    let mut options = options();
    options.limits.inbox_bytes = 1 << 20;
    options.limits.fan_out_bytes = 1 << 20;
    options.limits.inbox_frames = 100_000;
    options.limits.outbox_bytes = 1 << 30;
    let rig = Rig::new(options);
    let members = 30;
    let text = "x".repeat(60_000);
    for _ in 0..members {
        actix_rt::spawn(read_all(rig.open(&["a"]).await.unwrap()));
    }
    for published in 1..=60 {
        rig.publish(Target::Group(group("a")), &text).await;
        let delivered = rig.count("fanfare_events_delivered_total", "");
        let waiting = f64::from(published) - delivered / f64::from(members);
        // 18 in the inbox, as many in the fan-out, and the one that is half sent.
        assert!(waiting <= 38.0, "{waiting} of {published} events wait");
    }
    let all = 60.0 * f64::from(members);
    rig.until("fanfare_events_delivered_total", "", all).await;
}

#[actix::test]
async fn a_client_that_pings_and_does_not_read_is_closed_by_the_bound_of_frames() {
    let mut options = options();
    options.limits.outbox_frames = 50;
    let rig = Rig::new(options);
    let mut client = rig.open(&["a"]).await.unwrap();
    for _ in 0..3000 {
        // Two bytes an answer: the bound of bytes is far away.
        if !client.try_send(9, b"").await {
            break;
        }
        // What is read together is answered in one write: each is to be read alone.
        tokio::task::yield_now().await;
    }
    rig.until("fanfare_sessions_closed_total", "slow", 1.0)
        .await;
}

#[actix::test]
async fn a_ticket_is_not_opened_on_another_connection_than_it_was_admitted_with() {
    let rig = Rig::new(options());
    let (admitted, _peer) = UnixStream::pair().unwrap();
    let ticket = rig.admit(&admitted, &["a"]).await.unwrap();
    let (other, mut peer) = UnixStream::pair().unwrap();
    let head = Bytes::from_static(b"HEAD");
    ticket.open(Socket::Unix(other), head, Bytes::new());
    let mut got = Vec::new();
    let read = tokio::time::timeout(PATIENCE, peer.read_to_end(&mut got));
    read.await.expect("it was opened").unwrap();
    assert_eq!(got, b"");
    assert_eq!(rig.node.sessions(), 0);
    assert_eq!(rig.node.groups(), []);
}

#[actix::test]
async fn a_client_is_not_given_up_while_its_session_waits_for_the_layer() {
    let mut options = options();
    options.ping.interval = Duration::from_millis(30);
    options.ping.timeout = Duration::from_millis(30);
    let let_go = Arc::new(Semaphore::new(0));
    let own = Arc::clone(&let_go);
    let rig = Rig::over(options, |memory| {
        // It takes nothing until it is let.
        Arc::new(
            LayerDouble::new(memory).on_publish(move |memory, target, envelope| {
                let (memory, let_go) = (Arc::clone(memory), Arc::clone(&own));
                Publish::Full(
                    async move {
                        let _held = let_go.acquire().await.unwrap();
                        memory.publish(target, envelope)
                    }
                    .boxed(),
                )
            }),
        )
    });
    let mut client = rig.open(&["a"]).await.unwrap();
    client.text("patience").await;
    assert_eq!(client.frame().await, Frame::Ping);
    client.send(10, b"").await;
    // Its pong is behind what the session does not read yet.
    let given_up = tokio::time::timeout(Duration::from_millis(300), client.frame()).await;
    assert!(given_up.is_err(), "{given_up:?}");
    let_go.add_permits(1);
    client.expect_text("patience").await;
}
