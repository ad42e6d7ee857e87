//! From the name of one session nobody derives another.

use std::collections::HashSet;

use fanfare_protocol::{Naming, NodeId, SessionId};
use proptest::prelude::*;

fn node() -> NodeId {
    NodeId::random().expect("a random source")
}

fn session(generation: u32) -> SessionId {
    SessionId {
        worker: 0,
        slot: 0,
        generation,
    }
}

/// What stands for a session in its name.
fn digits(node: NodeId, session: SessionId) -> u64 {
    let name = Naming::plain("asgi").session(node, session);
    let (_, digits) = name.as_str().split_once('!').expect("a session's name");
    u64::from_str_radix(digits, 16).expect("hex digits")
}

#[test]
fn the_name_after_ones_own_leads_to_no_session_near_it() {
    let (node, naming) = (node(), Naming::plain("asgi"));
    for generation in 0..1_000 {
        let next = digits(node, session(generation)).wrapping_add(1);
        let name = format!("{}{next:016x}", naming.node_prefix(node));
        let (_, found) = naming.locate(&name).expect("the form of a name");
        let near = found.slot < 0x100 && found.generation < 1_000;
        assert!(!near, "{name} leads to {found:?}");
    }
}

#[test]
fn names_of_neighbours_have_nothing_in_common() {
    let node = node();
    let one = digits(node, session(1));
    let differences: HashSet<u64> = (2..1_002)
        .map(|generation| one ^ digits(node, session(generation)))
        .collect();
    assert_eq!(differences.len(), 1_000);
    let flipped: u32 = differences.iter().map(|bits| bits.count_ones()).sum();
    // 64 bits in each of 1,000 names: a random one flips half of them, and the standard deviation
    // of the sum is 126.
    assert!(flipped.abs_diff(32_000) < 1_300, "{flipped} bits flipped");
}

#[test]
fn the_same_session_of_another_node_has_another_name() {
    assert_ne!(digits(node(), session(7)), digits(node(), session(7)));
}

proptest! {
    #[test]
    fn a_name_leads_to_its_session(worker: u8, slot in 0..1_u32 << 24, generation: u32) {
        let session = SessionId { worker, slot, generation };
        let node = node();
        for naming in [Naming::plain("asgi"), Naming::pubsub("asgi")] {
            let name = naming.session(node, session);
            prop_assert_eq!(naming.locate(name.as_str()), Some((node, session)));
        }
    }
}
