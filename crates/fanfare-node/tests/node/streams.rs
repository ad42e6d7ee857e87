//! Programs that send more than the socket takes, and what others do to their sessions meanwhile.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fanfare_node::{DeliveryMode, Handling, Input, Mailbox, NodeOptions, Program, Socket};
use fanfare_protocol::frame::Opcode;
use fanfare_protocol::{CloseCode, Envelope, Target};
use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::net::UnixStream;

use super::client::{Client, Frame, Rig, envelope, group, options};

const CHUNK: [u8; 4000] = [b'x'; 4000];

/// An outbox that holds several runs of what a program sends.
fn roomy() -> NodeOptions {
    let mut options = options();
    options.limits.outbox_bytes = 1 << 20;
    options
}

async fn ended(port: &Mailbox) -> CloseCode {
    loop {
        if let Input::Ended(code) = poll_fn(|context| port.poll_next(context)).await {
            return code;
        }
    }
}

async fn open(rig: &Rig, groups: &[&str], program: impl FnOnce(Rc<Mailbox>) -> Program) -> Client {
    let handling = Handling::Program(DeliveryMode::Events);
    let opened = rig.open_as(groups, handling, |ticket| {
        let program = program(ticket.mailbox().unwrap());
        ticket.run(program);
    });
    opened.await.unwrap()
}

/// Sends for as long as it may.
async fn stream(port: Rc<Mailbox>, end: Rc<Cell<u16>>) {
    while port.send(Opcode::Binary, &CHUNK) {
        poll_fn(|context| port.poll_room(context)).await;
    }
    end.set(ended(&port).await.0);
}

#[actix::test]
async fn a_program_that_streams_is_stopped_by_the_close_of_its_session() {
    let rig = Rig::new(roomy());
    let close = || Arc::new(Envelope::closing(CloseCode(4003), "go").unwrap());
    for kicked in [false, true] {
        let end = Rc::new(Cell::new(0));
        let told = Rc::clone(&end);
        let mut client = open(&rig, &["a"], |port| Box::pin(stream(port, told))).await;
        assert_eq!(client.frame().await, Frame::Binary(CHUNK.to_vec()));
        if kicked {
            let publish = rig.node.publish(Target::Group(group("a")), close());
            publish.confirmed().await.unwrap();
        } else {
            client.send(8, &4003u16.to_be_bytes()).await;
        }
        loop {
            match client.frame().await {
                Frame::Binary(_) => {}
                Frame::Close(code) => break assert_eq!(code, 4003),
                other => panic!("{other:?}"),
            }
        }
        drop(client);
        while end.get() == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(end.get(), 4003);
    }
}

#[actix::test]
async fn sends_that_wait_for_room_side_by_side_all_go_on() {
    const SENDS: usize = 100;
    let rig = Rig::new(roomy());
    let mut client = open(&rig, &[], |port| {
        Box::pin(async move {
            // Fills the socket, and what may wait.
            while port.send(Opcode::Binary, &CHUNK) {
                let room = poll_fn(|context| port.poll_room(context));
                if tokio::time::timeout(Duration::ZERO, room).await.is_err() {
                    break;
                }
            }
            let rooms = (0..SENDS).map(|_| poll_fn(|context| port.poll_room(context)));
            let mut rooms: FuturesUnordered<_> = rooms.collect();
            while rooms.next().await.is_some() {}
            port.send(Opcode::Text, b"done");
            ended(&port).await;
        })
    })
    .await;
    loop {
        match client.frame().await {
            Frame::Binary(_) => {}
            other => break assert_eq!(other, Frame::Text("done".to_owned())),
        }
    }
}

/// Says what its events say.
async fn repeat(port: Rc<Mailbox>) {
    loop {
        match poll_fn(|context| port.poll_next(context)).await {
            Input::Event { event: mail, .. } => {
                let text = mail.event().get("message").map(|text| format!("{text:?}"));
                port.send(Opcode::Text, text.unwrap_or_default().as_bytes());
            }
            Input::Ended(_) => return,
            Input::Text(_) | Input::Binary(_) | Input::Timer(_) => {}
        }
    }
}

#[actix::test]
async fn a_close_of_one_group_follows_what_was_published_to_another_before() {
    let rig = Rig::new(options());
    let others = (0..100).map(|_| open(&rig, &["large"], |port| Box::pin(repeat(port))));
    let _others = join_all(others).await;
    let repeats = |port| -> Program { Box::pin(repeat(port)) };
    let mut client = open(&rig, &["large", "small"], repeats).await;
    // All in one turn of the registry.
    let large = || Target::Group(group("large"));
    for text in ["one", "two"] {
        let _done = rig.node.publish(large(), envelope(text));
    }
    let close = Arc::new(Envelope::closing(CloseCode(4003), "go").unwrap());
    let _done = rig.node.publish(Target::Group(group("small")), close);
    for text in ["one", "two"] {
        client.expect_text(&format!("Str({text:?})")).await;
    }
    assert_eq!(client.frame().await, Frame::Close(4003));
}

#[actix::test]
async fn what_is_sent_before_the_session_opens_keeps_its_place_among_frames_of_groups() {
    let rig = Rig::new(options());
    let (server, client) = UnixStream::pair().unwrap();
    let handling = Handling::Program(DeliveryMode::Frames);
    let mut ticket = rig.admit_as(&server, &["a"], handling).await.unwrap();
    let port = ticket.mailbox().unwrap();
    port.send(Opcode::Text, b"snapshot");
    rig.publish(Target::Group(group("a")), "change").await;
    rig.until("fanfare_events_delivered_total", "", 1.0).await;
    port.send(Opcode::Text, b"last");
    ticket.run(Box::pin(repeat(port)));
    ticket.open(
        Socket::Unix(server),
        Bytes::from_static(b"HEAD"),
        Bytes::new(),
    );
    let mut client = Client::on(client);
    client.expect_head().await;
    for text in ["snapshot", "change", "last"] {
        client.expect_text(text).await;
    }
}
