use std::io::Read as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Instant;

use fanfare_protocol::{DeliverTable, Encoder, Envelope, Event, Outgoing, RouteEncoder, Target};
use proptest::prelude::*;

use super::*;
use crate::fan_out::Tab;
use crate::fan_out::event_sink::EventSink;
use crate::fan_out::seat::Seat;
use crate::fan_out::slot_ref::Bounds;

/// A fan_out with real sockets: what a session is sent can be read at the other end.
struct FanOut {
    slots: Slots,
    roster: Roster,
    encoders: [Arc<dyn Encoder>; 2],
}

struct Client {
    member: SlotRef,
    /// Held open: a member's descriptor is only used while its socket lives.
    _socket: UnixStream,
    peer: UnixStream,
    got: String,
}

fn group(index: usize) -> GroupName {
    GroupName::parse(&format!("group_{index}")).expect("a legal name")
}

impl FanOut {
    fn new() -> Self {
        let bounds = Bounds {
            bytes: 1 << 20,
            frames: 1 << 10,
        };
        let table = DeliverTable {
            send: [("n".to_owned(), "n".to_owned())].into(),
            deliver_unknown: true,
        };
        Self {
            slots: Slots::new(bounds, 0, Tab::unlimited()),
            roster: Roster::default(),
            encoders: [
                Arc::new(RouteEncoder(table.clone())),
                Arc::new(RouteEncoder(table)),
            ],
        }
    }

    fn open(&mut self, encoder: usize) -> Client {
        let (socket, peer) = UnixStream::pair().expect("a socket pair");
        socket.set_nonblocking(true).expect("nonblocking");
        peer.set_nonblocking(true).expect("nonblocking");
        let encoder = Arc::clone(&self.encoders[encoder]);
        let seat = Seat::vacant(
            socket.as_raw_fd(),
            encoder,
            DeliveryMode::Frames,
            EventSink::Socket,
        );
        let member = self.slots.take(seat).expect("a free slot");
        self.slots.unblock(member);
        Client {
            member,
            _socket: socket,
            peer,
            got: String::new(),
        }
    }

    fn join(&mut self, member: SlotRef, to: usize) {
        let seat = self.slots.seat(member).expect("seated");
        let options = SubscribeOptions {
            encoder: Arc::clone(&seat.encoder),
            mode: seat.mode,
            tag: 0,
        };
        self.roster
            .join(&mut self.slots, member, &group(to), &options);
    }

    fn close(&mut self, client: &Client) {
        let seat = self.slots.release(client.member).expect("seated");
        for membership in seat.memberships {
            self.roster.leave(&mut self.slots, membership);
        }
    }

    fn publish(&mut self, to: usize, text: &str, excluded: &[SlotRef]) {
        let event = Event::new("n").with("n", text);
        let delivery = Delivery {
            target: Target::Group(group(to)),
            envelope: Arc::new(Envelope::new(event)),
            arrived: Instant::now(),
        };
        self.roster
            .append(&mut self.slots, &group(to), &delivery, excluded);
    }

    fn run(&mut self) {
        while self.roster.is_busy() {
            self.roster.slice(&mut self.slots, || true, |_| {});
        }
    }

    /// The two sides of every membership agree.
    fn assert_consistent(&self) {
        for (at, kept) in self.roster.groups.iter() {
            let mut members = 0;
            for (lane_at, lane) in (0u32..).zip(&kept.lanes) {
                for (index, member) in lane.members() {
                    let claim = Membership {
                        group: at,
                        lane: lane_at,
                        index,
                        tag: 0,
                    };
                    let seat = self.slots.seat(member).expect("a member is seated");
                    assert!(seat.memberships.contains(&claim), "{claim:?}");
                    members += 1;
                }
            }
            assert_eq!(members, kept.members);
        }
    }
}

impl Client {
    /// Payloads received so far; each frame is two bytes of header and a short text.
    fn received(&mut self) -> Vec<String> {
        let mut bytes = Vec::new();
        let _would_block = self.peer.read_to_end(&mut bytes);
        let mut rest = bytes.as_slice();
        while let [0x81, len, tail @ ..] = rest {
            let (text, next) = tail.split_at(usize::from(*len));
            self.got.push_str(std::str::from_utf8(text).expect("text"));
            self.got.push(' ');
            rest = next;
        }
        assert!(rest.is_empty(), "a cut frame");
        self.got.split_whitespace().map(str::to_owned).collect()
    }
}

#[test]
fn an_excluded_session_gets_the_other_events_of_the_batch() {
    let mut fan_out = FanOut::new();
    let mut clients: Vec<Client> = (0..3).map(|_| fan_out.open(0)).collect();
    for client in &clients {
        fan_out.join(client.member, 0);
    }
    let out = [clients[1].member];
    fan_out.publish(0, "a", &[]);
    fan_out.publish(0, "b", &out);
    fan_out.publish(0, "c", &[]);
    fan_out.run();
    assert_eq!(clients[0].received(), ["a", "b", "c"]);
    assert_eq!(clients[1].received(), ["a", "c"]);
    assert_eq!(clients[2].received(), ["a", "b", "c"]);
}

#[test]
fn a_direct_event_follows_what_is_on_its_way_and_nothing_comes_twice() {
    let mut fan_out = FanOut::new();
    let mut clients: Vec<Client> = (0..600).map(|_| fan_out.open(0)).collect();
    for client in &clients {
        fan_out.join(client.member, 0);
    }
    fan_out.publish(0, "first", &[]);
    fan_out.roster.slice(&mut fan_out.slots, || true, |_| {});
    assert!(
        fan_out.roster.is_busy(),
        "600 members take more than a slice"
    );
    let last = clients[599].member;
    let delivery = Delivery {
        target: Target::Group(group(0)),
        envelope: Arc::new(Envelope::new(Event::new("n").with("n", "direct"))),
        arrived: Instant::now(),
    };
    assert_eq!(clients[599].received(), [""; 0]);
    fan_out
        .roster
        .send_to_one(&mut fan_out.slots, last, &delivery)
        .expect("deliverable");
    fan_out.run();
    assert_eq!(clients[599].received(), ["first", "direct"]);
    assert_eq!(clients[598].received(), ["first"]);
}

#[test]
fn a_session_that_joins_during_a_fan_out_gets_only_what_is_published_later() {
    let mut fan_out = FanOut::new();
    let clients: Vec<Client> = (0..300).map(|_| fan_out.open(0)).collect();
    for client in &clients {
        fan_out.join(client.member, 0);
    }
    fan_out.publish(0, "before", &[]);
    fan_out.roster.slice(&mut fan_out.slots, || true, |_| {});
    let mut late = fan_out.open(0);
    fan_out.join(late.member, 0);
    fan_out.publish(0, "after", &[]);
    fan_out.run();
    assert_eq!(late.received(), ["after"]);
}

#[test]
fn reconcile_gives_back_what_a_panic_has_torn_apart() {
    let mut fan_out = FanOut::new();
    let mut clients: Vec<Client> = (0..5).map(|_| fan_out.open(0)).collect();
    for client in &clients {
        fan_out.join(client.member, 0);
    }
    // As if the panic had come between the two sides of a join and of a leave.
    let torn = clients[2].member;
    fan_out.slots.seat_mut(torn).expect("seated").memberships[0].index = 4;
    fan_out
        .slots
        .seat_mut(clients[4].member)
        .expect("seated")
        .memberships
        .clear();
    let (mended, lost) = fan_out.roster.reconcile(&mut fan_out.slots, false);
    assert!(mended > 0);
    assert_eq!(lost, 0);
    fan_out.assert_consistent();
    fan_out.publish(0, "x", &[]);
    fan_out.run();
    for client in &mut clients[..4] {
        assert_eq!(client.received(), ["x"]);
    }
    assert_eq!(clients[4].received(), [""; 0]);
}

#[test]
fn fifty_memberships_of_one_session_take_at_most_64_bytes_each() {
    let mut fan_out = FanOut::new();
    let client = fan_out.open(0);
    for to in 0..51 {
        fan_out.join(client.member, to);
    }
    let seat = fan_out.slots.seat(client.member).expect("seated");
    let own = seat.memberships.capacity() * size_of::<Membership>();
    // A lane of one member has room for four, and one of a thousand for no more than 2,000.
    let entries = 51 * 2 * size_of::<SlotRef>();
    assert_eq!((size_of::<Membership>(), size_of::<SlotRef>()), (16, 12));
    assert!(own + entries <= 51 * 48, "{own} and {entries} bytes");
}

#[derive(Debug, Clone)]
enum Act {
    Open(usize),
    Close(usize),
    Join(usize, usize),
    Publish(usize),
    Slice,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (0..2usize).prop_map(Act::Open),
        any::<usize>().prop_map(Act::Close),
        (any::<usize>(), 0..3usize).prop_map(|(client, to)| Act::Join(client, to)),
        (0..3usize).prop_map(Act::Publish),
        Just(Act::Slice),
    ]
}

proptest! {
    #[test]
    fn members_get_every_event_once_in_order_whoever_comes_and_goes(
        acts in prop::collection::vec(act(), 1..120),
    ) {
        let mut fan_out = FanOut::new();
        let mut clients: Vec<(Client, Vec<String>, [bool; 3])> = Vec::new();
        for (number, act) in acts.into_iter().enumerate() {
            match act {
                Act::Open(encoder) => clients.push((fan_out.open(encoder), Vec::new(), [false; 3])),
                Act::Close(at) if !clients.is_empty() => {
                    let (client, ..) = clients.swap_remove(at % clients.len());
                    fan_out.close(&client);
                }
                Act::Join(at, to) if !clients.is_empty() => {
                    let at = at % clients.len();
                    let (client, _, groups) = &mut clients[at];
                    fan_out.join(client.member, to);
                    groups[to] = true;
                }
                Act::Publish(to) => {
                    let text = format!("{to}:{number}");
                    fan_out.publish(to, &text, &[]);
                    for (_, expected, groups) in &mut clients {
                        if groups[to] {
                            expected.push(text.clone());
                        }
                    }
                }
                Act::Slice => fan_out.roster.slice(&mut fan_out.slots, || true, |_| {}),
                Act::Close(_) | Act::Join(..) => {}
            }
            fan_out.assert_consistent();
        }
        fan_out.run();
        fan_out.assert_consistent();
        for (client, expected, _) in &mut clients {
            let received = client.received();
            for to in 0..3 {
                let of = |list: &[String]| -> Vec<String> {
                    list.iter().filter(|text| text.starts_with(&format!("{to}:"))).cloned().collect()
                };
                prop_assert_eq!(of(&received), of(expected));
            }
        }
    }
}

/// Writes half a frame and panics, at every event of type `trap`.
struct Trap;

impl Encoder for Trap {
    fn encode(&self, message: &Outgoing<'_>, frames: &mut BytesMut) -> Result<(), Undeliverable> {
        let kind = message.event.event_type();
        frames.extend_from_slice(&[0x81, 3]);
        assert_ne!(kind, "trap", "asked for");
        frames.extend_from_slice(kind.as_bytes());
        Ok(())
    }
}

#[test]
fn what_a_plan_wrote_before_it_panicked_is_never_sent() {
    let mut fan_out = FanOut::new();
    fan_out.encoders[0] = Arc::new(Trap);
    let mut client = fan_out.open(0);
    fan_out.join(client.member, 0);
    for kind in ["one", "trap", "two"] {
        let delivery = Delivery {
            target: Target::Group(group(0)),
            envelope: Arc::new(Envelope::new(Event::new(kind))),
            arrived: Instant::now(),
        };
        let appended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            fan_out
                .roster
                .append(&mut fan_out.slots, &group(0), &delivery, &[])
        }));
        if appended.is_err() {
            fan_out.roster.reconcile(&mut fan_out.slots, false);
        }
    }
    fan_out.run();
    assert_eq!(client.received(), ["one", "two"]);
}

#[test]
fn plans_that_come_and_go_leave_no_lanes_behind() {
    let mut fan_out = FanOut::new();
    let stays = fan_out.open(0);
    fan_out.join(stays.member, 0);
    for _ in 0..100 {
        fan_out.encoders[1] = Arc::new(Trap);
        let passes = fan_out.open(1);
        fan_out.join(passes.member, 0);
        fan_out.close(&passes);
        fan_out.assert_consistent();
    }
    let lanes = fan_out.roster.groups.iter();
    let lanes = lanes.map(|(_, group)| group.lanes.len());
    assert_eq!(lanes.sum::<usize>(), 2);
}

#[test]
fn a_control_frame_behind_one_large_message_does_not_cut_its_session() {
    let mut fan_out = FanOut::new();
    let client = fan_out.open(0);
    let large = bytes::Bytes::from(vec![0; 2 << 20]);
    let ping = bytes::Bytes::from_static(&[0x89, 0]);
    fan_out.slots.send(client.member, &large, 1);
    let waits = |fan_out: &FanOut| fan_out.slots.seat(client.member).unwrap().outbox.is_some();
    assert!(waits(&fan_out), "more than a socket takes at once");
    fan_out.slots.send(client.member, &ping, 0);
    assert_eq!(
        fan_out.slots.seat(client.member).unwrap().close_requested,
        None
    );
    fan_out.slots.send(client.member, &large, 1);
    let close_requested = &fan_out.slots.seat(client.member).unwrap().close_requested;
    assert_eq!(
        close_requested.as_deref(),
        Some(&crate::fan_out::CloseRequest::Slow)
    );
}
