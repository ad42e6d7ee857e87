//! Subscriptions of one socket: each with its encoder, mode and tag, and with a reply in front.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fanfare_node::{DeliveryMode, Handling, Input, Mailbox, SubscribeOptions};
use fanfare_protocol::frame::{self, Opcode};
use fanfare_protocol::{ChannelName, Encoder, Event, Outgoing, Target, Undeliverable, Value};
use tokio::sync::oneshot;

use super::client::{Frame, Rig, group, options};

const GROUPS: u32 = 50;

/// Names the group in front of the message.
struct Named;

impl Encoder for Named {
    fn encode(&self, message: &Outgoing<'_>, frames: &mut BytesMut) -> Result<(), Undeliverable> {
        let Target::Group(group) = message.target else {
            return Err(Undeliverable::UnknownType);
        };
        let text = format!("{group} {}", text(message.event));
        frame::push(frames, Opcode::Text, text.as_bytes());
        Ok(())
    }
}

fn text(event: &Event) -> &str {
    match event.get("message") {
        Some(Value::Str(text)) => text,
        other => panic!("no text: {other:?}"),
    }
}

fn name(number: u32) -> String {
    format!("room_{number}")
}

fn reply(number: u32) -> Bytes {
    let mut reply = BytesMut::new();
    let text = format!("subscribed {}", name(number));
    frame::push(&mut reply, Opcode::Text, text.as_bytes());
    reply.freeze()
}

/// Subscribes all groups, waits, activates them, and says what comes to the program.
async fn subscriber(
    mailbox: Rc<Mailbox>,
    staged: oneshot::Sender<ChannelName>,
    go: oneshot::Receiver<()>,
) {
    let named: Arc<dyn Encoder> = Arc::new(Named);
    let mut pending = Vec::new();
    for number in 0..GROUPS {
        let options = SubscribeOptions {
            encoder: Arc::clone(&named),
            mode: match number % 2 {
                0 => DeliveryMode::Frames,
                _ => DeliveryMode::Events,
            },
            tag: number,
        };
        let subscribed = mailbox.subscribe(&group(&name(number)), options).await;
        pending.push(subscribed.unwrap());
    }
    staged.send(mailbox.channel()).unwrap();
    go.await.unwrap();
    for (number, pending) in (0..).zip(pending) {
        assert!(mailbox.send(Opcode::Text, b"next"));
        assert!(pending.activate(reply(number), None));
    }
    loop {
        match poll_fn(|context| mailbox.poll_next(context)).await {
            Input::Event { tag, event } => {
                let tag = tag.unwrap();
                assert_eq!(*event.target(), Target::Group(group(&name(tag))));
                let text = format!("program {tag} {}", text(event.event()));
                mailbox.send(Opcode::Text, text.as_bytes());
            }
            Input::Ended(_) => return,
            _ => {}
        }
    }
}

#[actix::test]
async fn fifty_groups_on_one_socket_answer_before_their_first_event_and_lose_none() {
    let mut options = options();
    options.limits.groups_per_session = GROUPS as usize;
    let rig = Rig::new(options);
    let (staged, all_staged) = oneshot::channel();
    let (go, gone) = oneshot::channel();
    let handling = Handling::Program(DeliveryMode::Frames);
    let mut client = rig
        .open_as(&[], handling, |ticket| {
            let mailbox = ticket.mailbox().unwrap();
            ticket.run(Box::pin(subscriber(mailbox, staged, gone)));
        })
        .await
        .unwrap();
    let channel = all_staged.await.unwrap();
    for number in 0..GROUPS {
        rig.publish(Target::Group(group(&name(number))), "before")
            .await;
    }
    // Behind all of them, in the worker's inbox: once it is here, they are staged.
    let channel = Target::Channel(channel);
    rig.publish(channel, "direct").await;
    client.expect_text("direct").await;
    go.send(()).unwrap();
    let mut frames = Vec::new();
    for number in 0..GROUPS {
        client.expect_text("next").await;
        client
            .expect_text(&format!("subscribed {}", name(number)))
            .await;
        if number % 2 == 0 {
            client
                .expect_text(&format!("{} before", name(number)))
                .await;
        }
    }
    for number in (1..GROUPS).step_by(2) {
        client
            .expect_text(&format!("program {number} before"))
            .await;
    }
    for number in 0..GROUPS {
        rig.publish(Target::Group(group(&name(number))), "after")
            .await;
        let Frame::Text(text) = client.frame().await else {
            panic!("no text");
        };
        frames.push(text);
    }
    let expected = (0..GROUPS).map(|number| match number % 2 {
        0 => format!("{} after", name(number)),
        _ => format!("program {number} after"),
    });
    assert!(expected.eq(frames));
}

#[actix::test]
async fn a_subscription_that_is_dropped_leaves_its_group() {
    let rig = Rig::new(options());
    let handling = Handling::Program(DeliveryMode::Events);
    let (left, has_left) = oneshot::channel();
    let node = rig.node.clone();
    let _client = rig
        .open_as(&[], handling, |ticket| {
            let mailbox = ticket.mailbox().unwrap();
            ticket.run(Box::pin(async move {
                let options = SubscribeOptions {
                    encoder: Arc::new(Named),
                    mode: DeliveryMode::Events,
                    tag: 1,
                };
                let pending = mailbox.subscribe(&group("a"), options).await.unwrap();
                let before = node.members(&group("a"));
                drop(pending);
                left.send((before, node.members(&group("a")))).unwrap();
                std::future::pending().await
            }));
        })
        .await
        .unwrap();
    assert_eq!(has_left.await.unwrap(), (1, 0));
}

#[actix::test]
async fn a_program_gets_its_timers_in_the_order_of_their_ends_each_once() {
    let rig = Rig::new(options());
    let handling = Handling::Program(DeliveryMode::Events);
    let mut client = rig
        .open_as(&[], handling, |ticket| {
            let mailbox = ticket.mailbox().unwrap();
            ticket.run(Box::pin(async move {
                mailbox.timer(Duration::from_secs(3600), 1);
                mailbox.timer(Duration::from_millis(400), 2);
                mailbox.timer(Duration::from_millis(150), 3);
                // Set anew: it ends once, and later.
                mailbox.timer(Duration::from_millis(10), 4);
                mailbox.timer(Duration::from_millis(600), 4);
                loop {
                    match poll_fn(|context| mailbox.poll_next(context)).await {
                        Input::Timer(id) => {
                            mailbox.send(Opcode::Text, id.to_string().as_bytes());
                        }
                        Input::Ended(_) => return,
                        _ => {}
                    }
                }
            }));
        })
        .await
        .unwrap();
    for id in ["3", "2", "4"] {
        client.expect_text(id).await;
    }
}
