use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use fanfare_layer::{MemoryBudget, MemoryUse};
use fanfare_protocol::{Encoder, RouteEncoder};

use super::*;
use crate::fan_out::slot_ref::Bounds;
use crate::fan_out::slots::Pinned;
use crate::fan_out::{DeliveryMode, SeatState};

/// Sessions whose sockets are full.
struct Rig {
    slots: Slots,
    tab: Rc<Tab>,
    budget: MemoryBudget,
    sockets: Vec<(UnixStream, UnixStream)>,
}

impl Rig {
    fn new() -> Self {
        let budget = MemoryBudget::new(1 << 20);
        let tab = Rc::new(Tab::new(budget.account(MemoryUse::Sessions)));
        let bounds = Bounds {
            bytes: 1 << 20,
            frames: 1 << 10,
        };
        Self {
            slots: Slots::new(bounds, 0, Rc::clone(&tab)),
            tab,
            budget,
            sockets: Vec::new(),
        }
    }

    fn session(&mut self) -> SlotRef {
        let (socket, peer) = UnixStream::pair().unwrap();
        socket.set_nonblocking(true).unwrap();
        while (&socket).write(&[0; 65_536]).is_ok() {}
        let encoder: Arc<dyn Encoder> = Arc::new(RouteEncoder::default());
        let fd = socket.as_raw_fd();
        let seat = Seat::vacant(fd, encoder, DeliveryMode::Frames, EventSink::Socket);
        let member = self.slots.take(seat).unwrap();
        self.slots.unblock(member);
        self.sockets.push((socket, peer));
        member
    }

    fn is_cut(&self, member: SlotRef) -> bool {
        self.slots.is_closing(member)
    }
}

fn frames(bytes: usize) -> Bytes {
    Bytes::from(vec![1; bytes])
}

#[test]
fn the_sessions_for_which_most_waits_are_cut_first_and_what_waits_is_dropped_at_once() {
    let mut rig = Rig::new();
    let [small, large, larger] = [(); 3].map(|()| rig.session());
    rig.slots.send(small, &frames(50_000), 1);
    rig.slots.send(large, &frames(300_000), 1);
    rig.slots.keep_input(larger, 350_000);
    rig.slots.send(larger, &frames(10_000), 1);
    assert_eq!(rig.tab.heaviest(), 350_000, "its input counts too");
    assert!(rig.budget.used() >= 700_000);

    rig.slots.give_up(0, 340_000);
    assert!(rig.is_cut(larger) && !rig.is_cut(large) && !rig.is_cut(small));
    assert_eq!(rig.tab.heaviest(), 300_000, "of those that are left");
    rig.slots.give_up(200_000, 1 << 20);
    assert!(rig.is_cut(large) && !rig.is_cut(small), "it has less");

    let used = rig.budget.used();
    assert!((50_000..52_000).contains(&used), "{used}");
    for member in [larger, large, small] {
        assert!(rig.slots.release(member).is_some());
    }
    assert_eq!(rig.budget.used(), 0);
}

#[test]
fn frames_that_many_sessions_wait_for_count_once_until_the_last_has_them() {
    let mut rig = Rig::new();
    let members = [(); 10].map(|()| rig.session());
    let (shared, pinned) = (frames(60_000), Pinned::new());
    for member in members {
        rig.slots.send_shared(member, &shared, 1, Some(&pinned));
    }
    drop((shared, pinned));
    assert!((60_000..62_000).contains(&rig.budget.used()));
    let [first, others @ ..] = members;
    for member in others {
        drop(rig.slots.release(member));
    }
    assert!((60_000..62_000).contains(&rig.budget.used()));
    assert_eq!(rig.slots.seat(first).unwrap().state, SeatState::Open);
    drop(rig.slots.release(first));
    assert_eq!(rig.budget.used(), 0);
}

#[test]
fn what_is_written_to_sockets_directly_is_not_counted() {
    let mut rig = Rig::new();
    let member = rig.session();
    let (socket, peer) = rig.sockets.last_mut().unwrap();
    peer.set_nonblocking(true).unwrap();
    let mut buffer = [0; 65_536];
    while peer.read(&mut buffer).is_ok_and(|read| read > 0) {}
    assert!(socket.peer_addr().is_ok());
    rig.slots.send(member, &frames(1000), 1);
    assert!(!rig.tab.take_grown());
    assert!(rig.slots.seat(member).unwrap().outbox.is_none());
}
