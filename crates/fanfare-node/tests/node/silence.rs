//! Which clients count as alive: bytes in either direction are a sign of life.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use fanfare_node::{Handling, NodeOptions, Socket};
use fanfare_protocol::Target;
use rustix::net::sockopt::set_socket_recv_buffer_size;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::time::{Instant, interval, timeout};

use super::client::{Chat, PATIENCE, Rig, group, masked, options};

const INTERVAL: Duration = Duration::from_millis(200);
const TIMEOUT: Duration = Duration::from_millis(600);
/// For this long a client gives no other sign of life than that of the test.
const LONG: Duration = Duration::from_secs(3);
const HEAD: &[u8] = b"HEAD";
/// Far more than the system keeps for a socket.
const LARGE: usize = 6 << 20;

fn pinging() -> NodeOptions {
    let mut options = options();
    options.ping.interval = INTERVAL;
    options.ping.timeout = TIMEOUT;
    options
}

async fn given_up(rig: &Rig) {
    rig.until("fanfare_sessions_closed_total", "ping_timeout", 1.0)
        .await;
}

/// A session over TCP, whose client's system keeps little.
async fn over_tcp(rig: &Rig) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connecting = TcpStream::connect(listener.local_addr().unwrap());
    let (client, accepted) = tokio::join!(connecting, listener.accept());
    let (mut client, (server, _)) = (client.unwrap(), accepted.unwrap());
    set_socket_recv_buffer_size(&client, 256 << 10).unwrap();
    let handling = Handling::Inbound(Rc::new(Chat));
    let ticket = rig.admit_as(&server, &["a"], handling).await.unwrap();
    ticket.open(Socket::Tcp(server), Bytes::from_static(HEAD), Bytes::new());
    client.read_exact(&mut [0; HEAD.len()]).await.unwrap();
    client
}

async fn over_a_socket_pair(rig: &Rig) -> UnixStream {
    let (server, mut client) = UnixStream::pair().unwrap();
    let ticket = rig.admit(&server, &["a"]).await.unwrap();
    ticket.open(Socket::Unix(server), Bytes::from_static(HEAD), Bytes::new());
    client.read_exact(&mut [0; HEAD.len()]).await.unwrap();
    client
}

/// Reads that many bytes, so many in each tenth of a second, and answers nothing.
async fn read_slowly(client: &mut (impl tokio::io::AsyncRead + Unpin), bytes: usize, pace: usize) {
    let mut turn = interval(Duration::from_millis(100));
    let mut left = bytes;
    let mut buffer = vec![0; pace];
    while left > 0 {
        turn.tick().await;
        let most = left.min(pace);
        let read = timeout(PATIENCE, client.read_exact(&mut buffer[..most])).await;
        read.expect("nothing came").expect("it was cut");
        left -= most;
    }
}

/// Reads a large message steadily, finds the ping behind it, and is still there.
async fn reads_a_large_message(rig: Rig, mut client: impl AsyncClient) {
    let start = Instant::now();
    rig.publish(Target::Group(group("a")), &"x".repeat(LARGE))
        .await;
    // Ten bytes of head: the length has eight.
    read_slowly(&mut client, LARGE + 10, LARGE / 30).await;
    assert!(start.elapsed() > TIMEOUT * 4, "{:?}", start.elapsed());
    let mut ping = [0; 2];
    let read = timeout(PATIENCE, client.read_exact(&mut ping)).await;
    read.expect("no ping").expect("it was cut");
    assert_eq!(ping, [0x89, 0]);
    client.write_all(&masked(10, b"")).await.unwrap();
    client.write_all(&masked(2, b"alive")).await.unwrap();
    let mut echo = [0; 7];
    let read = timeout(PATIENCE, client.read_exact(&mut echo)).await;
    read.expect("no echo").expect("it was cut");
    assert_eq!(&echo[2..], b"alive");
    assert_eq!(rig.count("fanfare_sessions_closed_total", ""), 0.0);
}

trait AsyncClient: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin {}

impl AsyncClient for TcpStream {}
impl AsyncClient for UnixStream {}

#[actix::test]
async fn a_steady_reader_of_a_large_message_over_tcp_is_not_cut_while_a_ping_waits_behind_it() {
    let rig = Rig::new(pinging());
    let client = over_tcp(&rig).await;
    reads_a_large_message(rig, client).await;
}

#[actix::test]
async fn a_steady_reader_of_a_large_message_over_unix_is_not_cut_while_a_ping_waits_behind_it() {
    let rig = Rig::new(pinging());
    let client = over_a_socket_pair(&rig).await;
    reads_a_large_message(rig, client).await;
}

#[actix::test]
async fn a_client_that_takes_nothing_in_is_given_up_however_much_waits_for_it() {
    for over in ["tcp", "unix"] {
        let rig = Rig::new(pinging());
        let _clients = match over {
            "tcp" => (Some(over_tcp(&rig).await), None),
            _ => (None, Some(over_a_socket_pair(&rig).await)),
        };
        rig.publish(Target::Group(group("a")), &"x".repeat(LARGE))
            .await;
        given_up(&rig).await;
    }
}

#[actix::test]
async fn a_frame_that_arrives_slowly_is_not_cut_in_the_middle() {
    let rig = Rig::new(pinging());
    let mut client = rig.open(&["a"]).await.unwrap();
    let text = "x".repeat(30_000);
    let frame = masked(1, text.as_bytes());
    let mut turn = interval(LONG / 30);
    for piece in frame.chunks(frame.len() / 30) {
        turn.tick().await;
        client.write(piece).await;
    }
    client.expect_text(&text).await;
}

#[actix::test]
async fn a_client_that_only_pings_is_not_cut() {
    let rig = Rig::new(pinging());
    let mut client = rig.open(&["a"]).await.unwrap();
    let start = Instant::now();
    let mut turn = interval(TIMEOUT / 4);
    while start.elapsed() < LONG {
        turn.tick().await;
        client.send(9, b"").await;
    }
    client.send(2, b"alive").await;
    rig.until("fanfare_messages_received_total", "", 1.0).await;
    assert_eq!(rig.count("fanfare_sessions_closed_total", ""), 0.0);
}
