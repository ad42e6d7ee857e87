//! What clients and publishers can do to a node's memory, its clock and its descriptors.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fanfare_layer::{ChannelLayer as _, MemoryBudget, MemoryUse, Publish, PublishError};
use fanfare_node::{AdmitError, NodeOptions, Socket};
use fanfare_protocol::{CloseCode, Envelope, Target};
use fanfare_rig::LayerDouble;
use futures_util::FutureExt as _;
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::sync::Semaphore;

use super::client::{Client, Frame, PATIENCE, Rig, envelope, group, masked, options};

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

#[actix::test]
async fn a_node_that_is_short_of_memory_takes_neither_sessions_nor_events_and_still_closes() {
    let rig = Rig::new(NodeOptions {
        memory: MemoryBudget::new(1 << 20),
        ..options()
    });
    let mut client = rig.open(&["a"]).await.unwrap();
    let others = rig.node.memory().charge(MemoryUse::Redis).of(1 << 20);
    let refused = rig.open(&["a"]).await.err();
    assert_eq!(refused, Some(AdmitError::NoMemory));
    assert_eq!(rig.node.check_room(None), Err(AdmitError::NoMemory));
    let to = || Target::Group(group("a"));
    let publish = rig.node.publish(to(), envelope("text"));
    assert!(matches!(
        publish,
        Publish::Done(Err(PublishError::NoMemory))
    ));
    assert_eq!(rig.count("fanfare_events_dropped_total", "no_memory"), 1.0);
    assert_eq!(
        rig.count("fanfare_sessions_refused_total", "no_memory"),
        2.0
    );
    assert_eq!(
        rig.count("fanfare_memory_waiting_bytes", "redis"),
        f64::from(1 << 20)
    );
    drop(others);
    rig.publish(to(), "text").await;
    client.expect_text("text").await;
    let _others = rig.node.memory().charge(MemoryUse::Redis).of(1 << 20);
    let close = Envelope::closing(CloseCode(4000), "over").unwrap();
    let closing = rig.node.publish(to(), Arc::new(close));
    closing.confirmed().await.unwrap();
    assert_eq!(client.frame().await, Frame::Close(4000));
}

#[actix::test]
async fn clients_whose_messages_never_end_are_cut_when_together_they_keep_too_much() {
    let rig = Rig::new(NodeOptions {
        memory: MemoryBudget::new(1 << 20),
        ..options()
    });
    let memory = rig.node.memory();
    let mut honest = rig.open(&["a"]).await.unwrap();
    let mut others = Vec::new();
    // The first of three fragments.
    let mut fragment = masked(2, &[b'x'; 50_000]);
    fragment[0] &= 0x7f;
    for _ in 0..600 {
        if rig.count("fanfare_sessions_closed_total", "no_memory") >= 10.0 {
            break;
        }
        // Handshakes are refused while memory is short.
        let Ok(mut client) = rig.open(&["b"]).await else {
            continue;
        };
        client.write(&fragment).await;
        others.push(client);
        assert!(memory.used() <= 1 << 20, "{} bytes wait", memory.used());
    }
    let cut = ("fanfare_sessions_closed_total", "no_memory");
    rig.until(cut.0, cut.1, 10.0).await;
    while memory.is_short() {
        tokio::task::yield_now().await;
    }
    rig.publish(Target::Group(group("a")), "text").await;
    honest.expect_text("text").await;
    drop(others);
    let emptied = async {
        while memory.used() > 0 {
            tokio::task::yield_now().await;
        }
    };
    let emptied = tokio::time::timeout(PATIENCE, emptied).await;
    emptied.unwrap_or_else(|_| panic!("{} bytes are left", memory.used()));
}
