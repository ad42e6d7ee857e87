//! How fast a client may send, and how many sessions an address may have.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use fanfare_node::{AdmitError, RateLimits};
use tokio::net::UnixStream;

use super::client::{Frame, Rig, options};

/// A node that takes so many messages and bytes.
fn rig(rate: RateLimits, change: impl FnOnce(&mut fanfare_node::NodeOptions)) -> Rig {
    let mut options = options();
    options.limits.rate = rate;
    change(&mut options);
    Rig::new(options)
}

fn messages(messages_per_second: u32, burst: u32) -> RateLimits {
    RateLimits {
        messages_per_second,
        burst,
        ..RateLimits::OFF
    }
}

/// One byte in a second: whoever sends a message pauses for hours.
const FOR_HOURS: RateLimits = RateLimits {
    bytes_per_second: 1,
    ..RateLimits::OFF
};

/// Sends what takes a session under [`FOR_HOURS`] into its pause.
async fn into_a_pause(rig: &Rig, client: &mut super::client::Client) {
    client.text(&"x".repeat(30_000)).await;
    rig.until("fanfare_sessions_throttled", "", 1.0).await;
}

#[actix::test]
async fn a_client_that_sends_too_fast_is_read_at_its_rate_and_loses_nothing() {
    let rig = rig(messages(100, 10), |_| {});
    let mut client = rig.open(&["a"]).await.unwrap();
    let started = Instant::now();
    client.texts((0..40).map(|number| number.to_string())).await;
    for number in 0..40 {
        client.expect_text(&number.to_string()).await;
    }
    // Ten at once, and 30 at 100 in a second.
    assert!(started.elapsed() >= Duration::from_millis(290));
    assert!(rig.count("fanfare_throttles_total", "") > 0.0);
    rig.until("fanfare_messages_received_total", "", 40.0).await;
}

#[actix::test]
async fn pings_and_fragments_count_too() {
    let rig = rig(messages(100, 10), |_| {});
    let mut client = rig.open(&["a"]).await.unwrap();
    let started = Instant::now();
    for _ in 0..30 {
        client.send(9, b"").await;
    }
    for _ in 0..30 {
        assert_eq!(client.frame().await, Frame::Pong(Vec::new()));
    }
    assert!(started.elapsed() >= Duration::from_millis(190));
    let rig = self::rig(FOR_HOURS, |_| {});
    let mut client = rig.open(&["a"]).await.unwrap();
    // A message without an end: as many bytes as it may have, and the heads of their frames.
    client.write(&[0x01, 0x80, 1, 2, 3, 4]).await;
    let head = [0x00, 0xfe, 0x40, 0, 1, 2, 3, 4];
    for _ in 0..4 {
        client.write(&[&head[..], &[b'x'; 0x4000]].concat()).await;
    }
    rig.until("fanfare_sessions_throttled", "", 1.0).await;
}

#[actix::test]
async fn a_client_that_is_not_read_is_not_given_up() {
    let rig = rig(FOR_HOURS, |options| {
        options.ping.interval = Duration::from_millis(30);
        options.ping.timeout = Duration::from_millis(30);
    });
    let mut client = rig.open(&["a"]).await.unwrap();
    into_a_pause(&rig, &mut client).await;
    let mut pings = 0;
    while pings == 0 {
        if client.frame().await == Frame::Ping {
            pings += 1;
            client.send(10, b"").await;
        }
    }
    // Its pong is behind what the session does not read yet.
    let given_up = tokio::time::timeout(Duration::from_millis(300), client.frame()).await;
    assert!(given_up.is_err(), "{given_up:?}");
}

#[actix::test]
async fn a_client_that_goes_while_it_is_not_read_is_missed_at_the_next_ping() {
    let rig = rig(FOR_HOURS, |options| {
        options.ping.interval = Duration::from_millis(30);
        options.ping.timeout = Duration::from_millis(30);
    });
    let mut client = rig.open(&["a"]).await.unwrap();
    into_a_pause(&rig, &mut client).await;
    drop(client);
    rig.until("fanfare_sessions_closed_total", "lost", 1.0)
        .await;
    assert_eq!(rig.count("fanfare_sessions_throttled", ""), 0.0);
}

#[actix::test]
async fn a_session_that_is_not_read_still_closes() {
    let rig = rig(FOR_HOURS, |_| {});
    let mut client = rig.open(&["a"]).await.unwrap();
    into_a_pause(&rig, &mut client).await;
    let closing = rig.node.close_sessions(Duration::ZERO);
    let (left, code) = tokio::join!(closing, async {
        let code = loop {
            match client.frame().await {
                Frame::Close(code) => break code,
                Frame::End => panic!("no goodbye"),
                _ => {}
            }
        };
        client.send(8, &[3, 0xe9]).await;
        code
    });
    assert_eq!((left, code), (0, 1001));
}

fn address(last: u8) -> Option<IpAddr> {
    Some([192, 0, 2, last].into())
}

#[actix::test]
async fn an_address_has_so_many_sessions_however_they_end() {
    let rate = RateLimits {
        sessions_per_address: 2,
        ..RateLimits::OFF
    };
    let mut rig = rig(rate, |_| {});
    let full = AdmitError::TooManySessions { limit: 2 };
    rig.client = address(1);
    let mut closed = rig.open(&["a"]).await.unwrap();
    let mut panicked = rig.open(&["a"]).await.unwrap();
    assert_eq!(rig.open(&["a"]).await.err(), Some(full));
    assert_eq!(rig.node.check_room(address(1)), Err(full));
    assert_eq!(rig.node.check_room(address(2)), Ok(()));
    let refused = rig.count("fanfare_sessions_refused_total", "too_many_sessions");
    assert_eq!((refused, rig.node.sessions()), (2.0, 2));

    closed.send(8, &[3, 0xe8]).await;
    panicked.text("panic").await;
    while panicked.frame().await != Frame::End {}
    while closed.frame().await != Frame::End {}
    drop((panicked, closed));
    for reason in ["client", "panic"] {
        rig.until("fanfare_sessions_closed_total", reason, 1.0)
            .await;
    }

    let lost = rig.open(&["a"]).await.unwrap();
    let (socket, _peer) = UnixStream::pair().unwrap();
    let unopened = rig.admit(&socket, &["a"]).await.unwrap();
    assert_eq!(rig.open(&["a"]).await.err(), Some(full));
    drop(unopened);
    drop(lost);
    rig.until("fanfare_sessions_closed_total", "lost", 1.0)
        .await;
    let both = (rig.open(&["a"]).await, rig.open(&["a"]).await);
    assert!(both.0.is_ok() && both.1.is_ok());
}

#[actix::test]
async fn a_client_without_an_address_is_not_counted() {
    let rate = RateLimits {
        sessions_per_address: 1,
        handshakes_per_second_per_address: 1,
        ..RateLimits::OFF
    };
    let rig = rig(rate, |_| {});
    let mut clients = Vec::new();
    for _ in 0..3 {
        rig.node.take_handshake(None).unwrap();
        clients.push(rig.open(&["a"]).await.unwrap());
    }
    assert_eq!(rig.node.take_handshake(address(1)), Ok(()));
    assert!(rig.node.take_handshake(address(1)).is_err());
    let refused = rig.count("fanfare_sessions_refused_total", "rate_limited");
    assert_eq!(refused, 1.0);
}
