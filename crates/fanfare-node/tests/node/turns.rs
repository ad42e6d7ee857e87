//! What a session that sends without pause takes from the others of its thread.

use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fanfare_node::{Handling, Inbound, SessionContext, Socket, Step};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use tokio::net::UnixStream;

use super::client::{Client, PATIENCE, Rig, masked, options};

const FLOOD: usize = 9_000;

type At = Box<dyn Fn(usize)>;

/// Counts the messages of one session, and keeps that count at the message of another.
#[derive(Default)]
struct Counting {
    flood: Cell<usize>,
    /// How many there were when the neighbour was handled.
    seen: Cell<Option<usize>>,
    /// Called at each message of the flood with its number.
    at: RefCell<Option<At>>,
}

impl Inbound for Counting {
    fn text(&self, session: &mut SessionContext<'_>, text: &str) -> Step {
        if text == "neighbour" {
            self.seen.set(Some(self.flood.get()));
        } else {
            self.flood.set(self.flood.get() + 1);
            if let Some(at) = &*self.at.borrow() {
                at(self.flood.get());
            }
        }
        session.send_text(text);
        Step::Continue
    }

    fn binary(&self, session: &mut SessionContext<'_>, bytes: &[u8]) -> Step {
        session.send_binary(bytes);
        Step::Continue
    }
}

async fn two_sessions(rig: &Rig, counting: &Rc<Counting>) -> (Client, Client) {
    let handling = || Handling::Inbound(Rc::clone(counting) as Rc<dyn Inbound>);
    let flooder = rig.open_as(&[], handling(), |_| {}).await.unwrap();
    let neighbour = rig.open_as(&[], handling(), |_| {}).await.unwrap();
    (flooder, neighbour)
}

fn flood() -> impl Iterator<Item = String> {
    std::iter::repeat_n("x".to_owned(), FLOOD)
}

#[actix::test]
async fn a_neighbour_is_handled_after_one_short_turn_of_a_session_with_thousands_of_messages() {
    let rig = Rig::new(options());
    let counting = Rc::<Counting>::default();
    let (mut flooder, mut neighbour) = two_sessions(&rig, &counting).await;
    // Both are in the sockets before the thread looks at one of them.
    flooder.texts(flood()).await;
    neighbour.text("neighbour").await;
    assert_eq!(counting.flood.get(), 0);
    neighbour.expect_text("neighbour").await;
    let seen = counting.seen.get().unwrap();
    assert!(seen <= 128, "behind {seen} messages of another session");
    for _ in 0..FLOOD {
        flooder.expect_text("x").await;
    }
}

#[actix::test]
async fn the_sockets_are_looked_at_between_the_turns_of_a_session_that_goes_on_and_on() {
    let rig = Rig::new(options());
    let counting = Rc::<Counting>::default();
    let (mut flooder, neighbour) = two_sessions(&rig, &counting).await;
    let neighbour = neighbour.into_std();
    let message = masked(1, b"neighbour");
    // In the middle of a turn that comes from the queue, and messages take their time.
    counting.at.replace(Some(Box::new(move |number| {
        if number == 300 {
            std::io::Write::write_all(&mut &neighbour, &message).unwrap();
        }
        let started = Instant::now();
        while started.elapsed() < Duration::from_micros(20) {
            std::hint::spin_loop();
        }
    })));
    flooder.texts(flood()).await;
    let all = async {
        while counting.seen.get().is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, all).await.unwrap();
    let behind = counting.seen.get().unwrap() - 300;
    // The rest of that turn and the next one, of half a millisecond each.
    assert!(behind <= 100, "behind {behind} messages of another session");
}

#[actix::test]
async fn the_answers_to_one_read_leave_in_one_write() {
    let rig = Rig::new(options());
    // Such a socket keeps the bounds of writes.
    let (server, client) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )
    .unwrap();
    let [server, client] = [server, client].map(from_fd);
    let ticket = rig.admit(&server, &[]).await.unwrap();
    ticket.open(
        Socket::Unix(server),
        Bytes::from_static(b"HEAD"),
        Bytes::new(),
    );
    let mut packet = [0; 4096];
    assert_eq!(receive(&client, &mut packet).await, b"HEAD");
    // Fewer than are handled before the first look at the clock.
    let questions: Vec<u8> = (0..10)
        .flat_map(|number| masked(if number == 4 { 9 } else { 2 }, &[number]))
        .collect();
    client.writable().await.unwrap();
    assert_eq!(client.try_write(&questions).unwrap(), questions.len());
    let answers: Vec<u8> = (0..10)
        .flat_map(|number| [if number == 4 { 0x8a } else { 0x82 }, 1, number])
        .collect();
    assert_eq!(receive(&client, &mut packet).await, answers);
}

fn from_fd(fd: OwnedFd) -> UnixStream {
    UnixStream::from_std(fd.into()).unwrap()
}

async fn receive<'a>(socket: &UnixStream, packet: &'a mut [u8]) -> &'a [u8] {
    loop {
        tokio::time::timeout(PATIENCE, socket.readable())
            .await
            .expect("nothing came")
            .unwrap();
        match socket.try_read(packet) {
            Ok(read) => return &packet[..read],
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
    }
}
