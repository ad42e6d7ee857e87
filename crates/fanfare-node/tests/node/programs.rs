//! Sessions with a program of their own.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fanfare_node::{DeliveryMode, Handling, Input, Mailbox, Program, Socket};
use fanfare_protocol::frame::Opcode;
use fanfare_protocol::{CloseCode, Envelope, Event, Target, Value};
use tokio::net::UnixStream;
use tokio::sync::{Notify, oneshot};

use super::client::{Client, Frame, PATIENCE, Rig, envelope, group, options};

/// What a program has lived through, and a way to wait for it.
#[derive(Clone, Default)]
struct Diary(Rc<(RefCell<Vec<String>>, Notify)>);

impl Diary {
    fn write(&self, line: impl Into<String>) {
        self.0.0.borrow_mut().push(line.into());
        self.0.1.notify_waiters();
    }

    async fn until(&self, line: &str) {
        let written = async {
            loop {
                let more = self.0.1.notified();
                if self.0.0.borrow().iter().any(|known| known == line) {
                    return;
                }
                more.await;
            }
        };
        let timeout = tokio::time::timeout(PATIENCE, written).await;
        assert!(timeout.is_ok(), "no {line:?} in {:?}", self.0.0.borrow());
    }

    fn lines(&self) -> Vec<String> {
        self.0.0.borrow().clone()
    }
}

fn message(event: &Event) -> &str {
    match event.get("message") {
        Some(Value::Str(text)) => text,
        other => panic!("no text: {other:?}"),
    }
}

/// Says back what comes; obeys some words.
async fn attend(port: Rc<Mailbox>, diary: Diary, mut gate: Option<oneshot::Receiver<()>>) {
    loop {
        match poll_fn(|context| port.poll_next(context)).await {
            Input::Text(text) if text == "wait" => {
                diary.write("waiting");
                if let Some(gate) = gate.take() {
                    gate.await.unwrap();
                }
            }
            Input::Text(text) if text == "close" => port.close(CloseCode(4001), "asked for"),
            Input::Text(text) if text == "fail" => port.fail(),
            Input::Text(text) if text == "leave" => {
                port.send(
                    Opcode::Text,
                    format!("{}", port.leave(&group("a"))).as_bytes(),
                );
            }
            Input::Text(text) if text.starts_with("join ") => {
                let joined = port.join(&group(&text[5..])).await;
                port.send(Opcode::Text, format!("{joined:?}").as_bytes());
            }
            Input::Text(text) => assert!(port.send(Opcode::Text, text.as_bytes())),
            Input::Binary(bytes) => assert!(port.send(Opcode::Binary, &bytes)),
            Input::Event { event: mail, .. } => {
                let decoded = mail.decoded(|event| {
                    diary.write("decoded");
                    message(event).to_owned()
                });
                port.send(Opcode::Text, decoded.unwrap().as_bytes());
            }
            Input::Timer(id) => panic!("timer {id} was never set"),
            Input::Ended(code) => {
                diary.write(format!("ended {}", code.0));
                assert!(!port.send(Opcode::Text, b"too late"));
                return;
            }
        }
    }
}

async fn open(rig: &Rig, groups: &[&str], delivering: DeliveryMode, diary: &Diary) -> Client {
    open_gated(rig, groups, delivering, diary, None).await
}

async fn open_gated(
    rig: &Rig,
    groups: &[&str],
    delivering: DeliveryMode,
    diary: &Diary,
    gate: Option<oneshot::Receiver<()>>,
) -> Client {
    let handling = Handling::Program(delivering);
    let opened = rig.open_as(groups, handling, |ticket| {
        let program: Program = Box::pin(attend(ticket.mailbox().unwrap(), diary.clone(), gate));
        ticket.run(program);
    });
    opened.await.unwrap()
}

#[actix::test]
async fn a_program_gets_messages_and_events_in_order_and_its_end() {
    let rig = Rig::new(options());
    let diary = Diary::default();
    let mut client = open(&rig, &["a"], DeliveryMode::Events, &diary).await;
    client.text("one").await;
    client.expect_text("one").await;
    client.send(2, b"two").await;
    assert_eq!(client.frame().await, Frame::Binary(b"two".to_vec()));
    for number in 0..200 {
        rig.publish(Target::Group(group("a")), &format!("{number}"))
            .await;
    }
    for number in 0..200 {
        client.expect_text(&format!("{number}")).await;
    }
    let channel = rig.node.naming().channel(&client.channel).unwrap();
    rig.publish(Target::Channel(channel), "direct").await;
    client.expect_text("direct").await;
    client.send(8, &4002u16.to_be_bytes()).await;
    assert_eq!(client.frame().await, Frame::Close(4002));
    diary.until("ended 4002").await;
    assert_eq!(rig.node.groups(), []);
}

#[actix::test]
async fn an_event_is_decoded_once_for_all_members_of_a_thread() {
    let rig = Rig::new(options());
    let diary = Diary::default();
    let mut one = open(&rig, &["a"], DeliveryMode::Events, &diary).await;
    let mut two = open(&rig, &["a"], DeliveryMode::Events, &diary).await;
    rig.publish(Target::Group(group("a")), "hello").await;
    one.expect_text("hello").await;
    two.expect_text("hello").await;
    assert_eq!(diary.lines(), ["decoded"]);
}

#[actix::test]
async fn frames_and_events_reach_the_members_of_one_group_side_by_side() {
    let rig = Rig::new(options());
    let diary = Diary::default();
    let mut route = rig.open(&["a"]).await.unwrap();
    let mut fast = open(&rig, &["a"], DeliveryMode::Frames, &diary).await;
    let mut program = open(&rig, &["a"], DeliveryMode::Events, &diary).await;
    let without = rig.node.naming().channel(&program.channel).unwrap();
    let mut excluding = Envelope::clone(&envelope("not for all"));
    excluding.exclude.push(without);
    let publish = rig
        .node
        .publish(Target::Group(group("a")), Arc::new(excluding));
    publish.confirmed().await.unwrap();
    rig.publish(Target::Group(group("a")), "for all").await;
    for client in [&mut route, &mut fast] {
        client.expect_text("not for all").await;
        client.expect_text("for all").await;
    }
    program.expect_text("for all").await;
}

#[actix::test]
async fn a_program_closes_with_its_code_behind_what_it_sent() {
    let rig = Rig::new(options());
    let diary = Diary::default();
    let mut client = open(&rig, &["a"], DeliveryMode::Events, &diary).await;
    client.text("first").await;
    client.text("close").await;
    client.text("never").await;
    client.expect_text("first").await;
    assert_eq!(client.frame().await, Frame::Close(4001));
    drop(client);
    diary.until("ended 4001").await;
    let mut client = open(&rig, &["a"], DeliveryMode::Events, &diary).await;
    client.text("fail").await;
    assert_eq!(client.frame().await, Frame::Close(1011));
    drop(client);
    diary.until("ended 1011").await;
    rig.until("fanfare_sessions_closed_total", "failed", 1.0)
        .await;
}

#[actix::test]
async fn a_program_hears_of_a_lost_peer_also_in_the_middle_of_its_work() {
    let rig = Rig::new(options());
    let diary = Diary::default();
    let (open_gate, gate) = oneshot::channel();
    let mut client = open_gated(&rig, &["a"], DeliveryMode::Events, &diary, Some(gate)).await;
    client.text("wait").await;
    diary.until("waiting").await;
    drop(client);
    rig.until("fanfare_sessions_closed_total", "lost", 1.0)
        .await;
    assert_eq!(rig.node.groups(), [], "it has left before it is told");
    open_gate.send(()).unwrap();
    diary.until("ended 1006").await;
}

#[actix::test]
async fn a_program_that_does_not_end_is_given_up_and_counted() {
    let mut options = options();
    options.close_timeout = Duration::from_millis(30);
    let rig = Rig::new(options);
    let diary = Diary::default();
    let (_open_gate, gate) = oneshot::channel();
    let mut client = open_gated(&rig, &["a"], DeliveryMode::Events, &diary, Some(gate)).await;
    client.text("wait").await;
    diary.until("waiting").await;
    drop(client);
    rig.until("fanfare_programs_abandoned_total", "", 1.0).await;
    assert_eq!(rig.node.close_sessions(Duration::ZERO).await, 0);
}

#[actix::test]
async fn a_session_that_never_opens_still_ends_its_program() {
    let rig = Rig::new(options());
    let diary = Diary::default();
    let (server, _client) = UnixStream::pair().unwrap();
    let handling = Handling::Program(DeliveryMode::Events);
    let mut ticket = rig.admit_as(&server, &["a"], handling).await.unwrap();
    let port = ticket.mailbox().unwrap();
    ticket.run(Box::pin(attend(port, diary.clone(), None)));
    drop(ticket);
    diary.until("ended 1006").await;
    assert_eq!(rig.node.sessions(), 0);
    assert_eq!(rig.node.groups(), []);
}

#[actix::test]
async fn what_is_sent_before_the_handshake_is_answered_follows_it() {
    let rig = Rig::new(options());
    let diary = Diary::default();
    let (server, client) = UnixStream::pair().unwrap();
    let handling = Handling::Program(DeliveryMode::Events);
    let mut ticket = rig.admit_as(&server, &["a"], handling).await.unwrap();
    let port = ticket.mailbox().unwrap();
    port.join(&group("b")).await.unwrap();
    rig.publish(Target::Group(group("b")), "an early event")
        .await;
    port.send(Opcode::Text, b"welcome");
    ticket.run(Box::pin(attend(port, diary.clone(), None)));
    ticket.open(
        Socket::Unix(server),
        Bytes::from_static(b"HEAD"),
        Bytes::new(),
    );
    let mut client = Client::on(client);
    client.expect_head().await;
    client.expect_text("welcome").await;
    client.expect_text("an early event").await;
}

#[actix::test]
async fn groups_are_joined_and_left_while_the_session_is_open() {
    let mut options = options();
    options.limits.groups_per_session = 2;
    let rig = Rig::new(options);
    for delivering in [DeliveryMode::Frames, DeliveryMode::Events] {
        let diary = Diary::default();
        let mut client = open(&rig, &["a"], delivering, &diary).await;
        client.text("join b").await;
        client.expect_text("Ok(())").await;
        client.text("join b").await;
        client.expect_text("Ok(())").await;
        client.text("join c").await;
        client.expect_text("Err(TooManyGroups { limit: 2 })").await;
        client.text("leave").await;
        client.expect_text("true").await;
        client.text("leave").await;
        client.expect_text("false").await;
        assert_eq!(rig.node.groups().len(), 2, "everyone and b");
        rig.publish(Target::Group(group("a")), "gone").await;
        rig.publish(Target::Group(group("b")), "here").await;
        client.expect_text("here").await;
        client.send(8, &1000u16.to_be_bytes()).await;
        diary.until("ended 1000").await;
    }
}

#[actix::test]
async fn a_close_from_outside_follows_the_events_before_it() {
    let rig = Rig::new(options());
    let closing = || Arc::new(Envelope::closing(CloseCode(4003), "go").unwrap());
    for delivering in [DeliveryMode::Frames, DeliveryMode::Events] {
        let diary = Diary::default();
        let mut inside = open(&rig, &["a"], delivering, &diary).await;
        let mut outside = open(&rig, &["b"], delivering, &diary).await;
        for number in 0..100 {
            rig.publish(Target::Group(group("a")), &format!("{number}"))
                .await;
        }
        let publish = rig.node.publish(Target::Group(group("a")), closing());
        publish.confirmed().await.unwrap();
        for number in 0..100 {
            inside.expect_text(&format!("{number}")).await;
        }
        assert_eq!(inside.frame().await, Frame::Close(4003));
        drop(inside);
        diary.until("ended 4003").await;
        let channel = rig.node.naming().channel(&outside.channel).unwrap();
        let publish = rig.node.publish(Target::Channel(channel), closing());
        publish.confirmed().await.unwrap();
        assert_eq!(outside.frame().await, Frame::Close(4003));
    }
    rig.until("fanfare_sessions_closed_total", "kicked", 4.0)
        .await;
}

#[actix::test]
async fn a_close_that_waited_for_a_program_sends_no_ping_where_pings_are_off() {
    let rig = Rig::new(options());
    let diary = Diary::default();
    let (_open_gate, gate) = oneshot::channel();
    let mut client = open_gated(&rig, &[], DeliveryMode::Events, &diary, Some(gate)).await;
    client.text("wait").await;
    diary.until("waiting").await;
    let channel = rig.node.naming().channel(&client.channel).unwrap();
    let closing = Arc::new(Envelope::closing(CloseCode(4003), "go").unwrap());
    let publish = rig.node.publish(Target::Channel(channel), closing);
    publish.confirmed().await.unwrap();
    assert_eq!(client.frame().await, Frame::Close(4003));
}

#[actix::test]
async fn a_program_that_takes_no_events_is_cut_and_one_that_takes_no_messages_is_not_read() {
    let mut options = options();
    options.limits.outbox_frames = 16;
    let rig = Rig::new(options);
    let diary = Diary::default();
    let (open_gate, gate) = oneshot::channel();
    let mut busy = open_gated(&rig, &[], DeliveryMode::Events, &diary, Some(gate)).await;
    busy.text("wait").await;
    diary.until("waiting").await;
    busy.texts((0..1000).map(|number| format!("{number}")))
        .await;
    let received = rig.count("fanfare_messages_received_total", "");
    assert!(received < 200.0, "{received} messages were read");
    open_gate.send(()).unwrap();
    for number in 0..1000 {
        busy.expect_text(&format!("{number}")).await;
    }
    let (_open_gate, gate) = oneshot::channel();
    let mut slow = open_gated(&rig, &["a"], DeliveryMode::Events, &diary, Some(gate)).await;
    slow.text("wait").await;
    diary.until("waiting").await;
    for _ in 0..40 {
        rig.publish(Target::Group(group("a")), "more").await;
    }
    assert_eq!(slow.frame().await, Frame::End);
    rig.until("fanfare_sessions_closed_total", "slow", 1.0)
        .await;
}
