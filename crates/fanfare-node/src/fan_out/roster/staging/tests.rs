use std::io::Read as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Instant;

use fanfare_protocol::{Encoder, Envelope, Event, Outgoing, Target, Undeliverable};
use proptest::prelude::*;

use super::*;
use crate::fan_out::{Bounds, EventSink, Input, MailboxState, Seat, Tab};

const GROUPS: usize = 50;

/// Writes an event's text and a space, and no frame around it.
struct Plain;

impl Encoder for Plain {
    fn encode(&self, message: &Outgoing<'_>, frames: &mut BytesMut) -> Result<(), Undeliverable> {
        frames.extend_from_slice(message.event.event_type().as_bytes());
        frames.extend_from_slice(b" ");
        Ok(())
    }
}

/// One session that subscribes groups, and what it must have got.
struct Rig {
    fan_out: FanOut,
    member: SlotRef,
    mailbox: Rc<MailboxState>,
    encoder: Arc<dyn Encoder>,
    _socket: UnixStream,
    peer: UnixStream,
    groups: Vec<Model>,
}

#[derive(Default, Clone)]
struct Model {
    holders: Vec<Subscribed>,
    present: bool,
    stage: Option<u32>,
    live: bool,
    staged: Vec<String>,
    expected: Vec<String>,
    got: Vec<String>,
}

fn name(group: usize) -> GroupName {
    GroupName::parse(&format!("group_{group}")).expect("a legal name")
}

impl Rig {
    fn new() -> Self {
        let (socket, peer) = UnixStream::pair().expect("a socket pair");
        socket.set_nonblocking(true).expect("nonblocking");
        peer.set_nonblocking(true).expect("nonblocking");
        let bounds = Bounds {
            bytes: 1 << 20,
            frames: 1 << 10,
        };
        let mut fan_out = FanOut {
            slots: Slots::new(bounds, 0, Tab::unlimited()),
            roster: Roster::default(),
        };
        let mailbox = Rc::<MailboxState>::default();
        let encoder: Arc<dyn Encoder> = Arc::new(Plain);
        let member = fan_out.slots.take(Seat::vacant(
            socket.as_raw_fd(),
            Arc::clone(&encoder),
            DeliveryMode::Frames,
            EventSink::Mailbox(Rc::clone(&mailbox)),
        ));
        let member = member.expect("a free slot");
        fan_out.slots.unblock(member);
        Self {
            fan_out,
            member,
            mailbox,
            encoder,
            _socket: socket,
            peer,
            groups: vec![Model::default(); GROUPS],
        }
    }

    /// Every second group comes to the program.
    fn options(&self, group: usize) -> SubscribeOptions {
        SubscribeOptions {
            encoder: Arc::clone(&self.encoder),
            mode: match group % 2 {
                0 => DeliveryMode::Frames,
                _ => DeliveryMode::Events,
            },
            tag: u32::try_from(group).expect("few groups"),
        }
    }

    fn subscribe(&mut self, group: usize) {
        let FanOut { slots, roster } = &mut self.fan_out;
        let subscribed = roster.stage(slots, self.member, &name(group));
        let model = &mut self.groups[group];
        model.present = true;
        model.stage = subscribed.as_ref().and_then(|subscribed| subscribed.stage);
        model.holders.extend(subscribed);
    }

    fn activate(&mut self, group: usize, number: usize) {
        let Some(subscribed) = self.groups[group].holders.pop() else {
            return;
        };
        if group % 2 == 1 {
            // A reply and an event for the program come on two ways, whose order is not seen here.
            let FanOut { slots, roster } = &mut self.fan_out;
            roster.flush_in_flight(slots, self.member);
            self.receive();
        }
        let preface = format!("reply:{group}:{number}");
        let bytes = Bytes::from(format!("{preface} "));
        let options = self.options(group);
        let activated = self
            .fan_out
            .activate(self.member, &subscribed, &options, (&bytes, None));
        let model = &mut self.groups[group];
        if activated.is_some() {
            model.expected.push(preface);
            model.expected.append(&mut model.staged);
            model.live = true;
        }
    }

    fn abandon(&mut self, group: usize) {
        if let Some(subscribed) = self.groups[group].holders.pop() {
            let FanOut { slots, roster } = &mut self.fan_out;
            let last = roster.abandon(slots, self.member, &subscribed);
            let model = &self.groups[group];
            let shared = |other: &Subscribed| other.stage == subscribed.stage;
            let is_staged = model.present && !model.live && model.stage == subscribed.stage;
            assert_eq!(last, is_staged && !model.holders.iter().any(shared));
            if last {
                self.leave(group);
            }
        }
    }

    fn leave(&mut self, group: usize) {
        let FanOut { slots, roster } = &mut self.fan_out;
        roster.part(slots, self.member, &name(group));
        self.receive();
        let model = &mut self.groups[group];
        // What was on its way is not sent any more.
        model.expected = model.got.clone();
        model.staged.clear();
        model.live = false;
        model.present = false;
    }

    fn publish(&mut self, group: usize, number: usize) {
        let text = format!("event:{group}:{number}");
        let delivery = Delivery {
            target: Target::Group(name(group)),
            envelope: Arc::new(Envelope::new(Event::new(text.as_str()))),
            arrived: Instant::now(),
        };
        let FanOut { slots, roster } = &mut self.fan_out;
        let lost = roster.append(slots, &name(group), &delivery, &[]);
        let model = &mut self.groups[group];
        if !model.present {
            return;
        }
        assert_eq!(lost, Dropped::default());
        if model.live {
            model.expected.push(text);
        } else {
            model.staged.push(text);
        }
    }

    fn slice(&mut self) {
        let FanOut { slots, roster } = &mut self.fan_out;
        roster.slice(slots, || true, |_| {});
    }

    /// Takes what has come, and finds nothing that was not due.
    fn receive(&mut self) {
        let mut touched = Vec::new();
        let mut text = Vec::new();
        let _would_block = self.peer.read_to_end(&mut text);
        let text = String::from_utf8(text).expect("text");
        for word in text.split_whitespace() {
            let group = word.split(':').nth(1).and_then(|group| group.parse().ok());
            let group: usize = group.expect("a group's number");
            self.groups[group].got.push(word.to_owned());
            touched.push(group);
        }
        while let Some(input) = self.mailbox.queue.borrow_mut().take() {
            let Input::Event { tag, event } = input else {
                panic!("nothing but events is posted");
            };
            let tag = tag.expect("the tag of a subscription") as usize;
            assert_eq!(event.target(), &Target::Group(name(tag)));
            let text = event.event().event_type().to_owned();
            self.groups[tag].got.push(text);
            touched.push(tag);
        }
        for group in touched {
            let model = &self.groups[group];
            assert!(model.expected.starts_with(&model.got), "too early or twice");
        }
    }
}

#[derive(Debug, Clone)]
enum Act {
    Subscribe(usize),
    Activate(usize),
    Abandon(usize),
    Leave(usize),
    Publish(usize),
    Slice,
    Reconcile,
}

fn act(groups: usize) -> impl Strategy<Value = Act> {
    let group = || 0..groups;
    prop_oneof![
        3 => group().prop_map(Act::Subscribe),
        3 => group().prop_map(Act::Activate),
        1 => group().prop_map(Act::Abandon),
        1 => group().prop_map(Act::Leave),
        6 => group().prop_map(Act::Publish),
        2 => Just(Act::Slice),
        1 => Just(Act::Reconcile),
    ]
}

/// Many acts on few groups, or on all of them.
fn acts() -> impl Strategy<Value = Vec<Act>> {
    prop_oneof![Just(2), Just(GROUPS)]
        .prop_flat_map(|groups| prop::collection::vec(act(groups), 1..300))
}

proptest! {
    #[test]
    fn a_reply_comes_before_the_events_of_its_group_and_none_is_lost_or_comes_twice(
        acts in acts(),
        ends in any::<bool>(),
    ) {
        let mut rig = Rig::new();
        for (number, act) in acts.into_iter().enumerate() {
            match act {
                Act::Subscribe(group) => rig.subscribe(group),
                Act::Activate(group) => rig.activate(group, number),
                Act::Abandon(group) => rig.abandon(group),
                Act::Leave(group) => rig.leave(group),
                Act::Publish(group) => rig.publish(group, number),
                Act::Slice => rig.slice(),
                Act::Reconcile => {
                    let FanOut { slots, roster } = &mut rig.fan_out;
                    prop_assert_eq!(roster.reconcile(slots, false), (0, 0));
                }
            }
            rig.receive();
        }
        if ends {
            let seat = rig.fan_out.slots.release(rig.member).expect("seated");
            for place in seat.memberships {
                rig.fan_out.roster.leave(&mut rig.fan_out.slots, place);
            }
        }
        while rig.fan_out.roster.is_busy() {
            rig.slice();
        }
        rig.receive();
        if ends {
            prop_assert!(rig.fan_out.roster.staging.is_empty());
            prop_assert!(rig.fan_out.roster.groups.is_empty());
        } else {
            for model in &rig.groups {
                prop_assert_eq!(&model.got, &model.expected);
            }
        }
    }
}

#[test]
fn a_session_for_which_more_is_staged_than_its_outbox_holds_is_cut() {
    let mut rig = Rig::new();
    rig.subscribe(0);
    for number in 0..1024 {
        rig.publish(0, number);
    }
    let requested = |rig: &Rig| {
        let seat = rig.fan_out.slots.seat(rig.member).expect("seated");
        seat.close_requested.as_deref().cloned()
    };
    assert_eq!(requested(&rig), None);
    rig.publish(0, 1024);
    assert_eq!(requested(&rig), Some(CloseRequest::Slow));
}

#[test]
fn events_up_to_the_position_of_the_client_are_known_and_those_of_another_history_are_not() {
    let at = |text: &str| Some(text.parse::<Position>().expect("a position"));
    assert!(is_known(at("a:3"), at("a:3")));
    assert!(is_known(at("a:2"), at("a:3")));
    assert!(!is_known(at("a:4"), at("a:3")));
    assert!(!is_known(at("b:2"), at("a:3")));
    assert!(!is_known(None, at("a:3")));
    assert!(!is_known(at("a:3"), None));
}
