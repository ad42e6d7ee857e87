//! What a consumer with much to do takes from the other sessions of its thread.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix_web::{App, web};
use fanfare::testing::LiveServer;
use fanfare::{Cluster, Consumer, Frame, Outcome, Session, consumer};
use serde::{Deserialize, Serialize};

const MUCH: usize = 900;
/// What is handled when the neighbour sends its message.
const MIDDLE: usize = 300;
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename = "step")]
struct Step {}

/// Counts what one session handles, until it handles what another one sent.
#[derive(Default)]
struct Counting {
    handled: AtomicUsize,
    /// How much there was when the neighbour was handled.
    seen: AtomicUsize,
    neighbour: Mutex<Option<TcpStream>>,
}

#[derive(Clone)]
struct Counter(Arc<Counting>);

impl Counter {
    fn handle(&self) {
        let number = 1 + self.0.handled.fetch_add(1, Ordering::SeqCst);
        if number == MIDDLE {
            let neighbour = self.0.neighbour.lock().unwrap();
            let mut socket = neighbour.as_ref().unwrap();
            socket.write_all(&text("neighbour")).unwrap();
        }
        // A handler takes its time.
        let started = Instant::now();
        while started.elapsed() < Duration::from_micros(50) {
            std::hint::spin_loop();
        }
    }
}

impl Consumer for Counter {
    type Event = Step;
    const GROUPS: &'static [&'static str] = &["{kind}"];

    async fn receive(&mut self, session: &mut Session, frame: Frame) -> Outcome {
        if frame.into_text()? == "neighbour" {
            let handled = self.0.handled.load(Ordering::SeqCst);
            self.0.seen.store(handled, Ordering::SeqCst);
            session.send_text("seen").await?;
        } else {
            self.handle();
        }
        Ok(())
    }

    async fn event(&mut self, _: &mut Session, _: &Step) -> Outcome {
        self.handle();
        Ok(())
    }
}

/// A message as a client sends it, with a mask that changes nothing.
fn text(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    [&[0x81, 0x80 | length, 0, 0, 0, 0], text.as_bytes()].concat()
}

/// A session that a handler can write to.
async fn open(address: SocketAddr, path: &'static str) -> TcpStream {
    let connect = move || {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        socket.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            socket.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        assert!(head.starts_with(b"HTTP/1.1 101"));
        socket
    };
    web::block(connect).await.unwrap()
}

/// How much of the first session was handled behind the message of its neighbour.
async fn behind(flood: impl AsyncFnOnce(&Cluster, &mut TcpStream)) -> usize {
    let counting = Arc::<Counting>::default();
    let counter = Counter(Arc::clone(&counting));
    let app = move || {
        let counter = counter.clone();
        App::new().service(consumer("/{kind}", move || counter.clone()))
    };
    let server = LiveServer::options().start(app);
    let beside = open(server.address(), "/beside").await;
    let mut answers = beside.try_clone().unwrap();
    counting.neighbour.lock().unwrap().replace(beside);
    let mut flooded = open(server.address(), "/flooded").await;
    flood(server.cluster(), &mut flooded).await;
    let answered = move || {
        let mut answer = [0; 6];
        answers.read_exact(&mut answer).unwrap();
        answer
    };
    assert_eq!(&web::block(answered).await.unwrap()[2..], b"seen");
    let seen = counting.seen.load(Ordering::SeqCst);
    web::block(move || drop(server)).await.unwrap();
    seen - MIDDLE
}

#[actix_web::test]
async fn a_session_is_handled_between_the_messages_of_another_one_that_sends_many() {
    let behind = behind(async |_, socket| {
        let messages = text("x").repeat(MUCH);
        socket.write_all(&messages).unwrap();
    });
    // The rest of a turn and a whole one, of half a millisecond each.
    let behind = behind.await;
    assert!(behind <= 40, "behind {behind} messages");
}

#[actix_web::test]
async fn a_session_is_handled_between_the_events_that_another_one_gets() {
    let behind = behind(async |cluster, _| {
        for _ in 0..MUCH {
            cluster.group_send("flooded", &Step {}).await.unwrap();
        }
    });
    let behind = behind.await;
    assert!(behind <= 40, "behind {behind} events");
}
