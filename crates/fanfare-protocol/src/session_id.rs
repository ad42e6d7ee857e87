//! Session ids, and how they are hidden in session names.
//!
//! A session's name is handed to its client as an address, so from one name nobody may derive
//! another. The 64 bits of an id are therefore encrypted with a key that is drawn at random at the
//! start of the process and never leaves it: a balanced Feistel network over two halves of 32 bits,
//! whose round function is SipHash-2-4 of the node, the round and a half. SipHash under a secret key
//! is a pseudorandom function, and a Feistel network of such functions is a pseudorandom permutation:
//! four rounds suffice (Luby and Rackoff) until somebody has seen about 2^16 names, and more rounds
//! move that bound towards 2^32 (Patarin). Ten rounds are what NIST's FF1 takes for the same
//! construction. Whoever knows some names can only guess others: with a million sessions one guess
//! in 2^44 is right.

use std::sync::LazyLock;

use siphasher::sip::SipHasher24;

/// See above: four are the least.
const ROUNDS: u8 = 10;

/// The key of this process. The node is part of what is hashed, so two nodes of one process have
/// different permutations.
static KEY: LazyLock<[u8; 16]> = LazyLock::new(|| {
    let mut key = [0; 16];
    getrandom::fill(&mut key).expect("a node's id came from the same random source before");
    key
});

/// A session within its node: where it lives, so that a name resolves without a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId {
    /// The worker thread.
    pub worker: u8,
    /// The slot in that worker's table; 24 bits.
    pub slot: u32,
    /// The slot's generation; never reused within a node.
    pub generation: u32,
}

impl SessionId {
    /// Whether a text has the form of an id in a session's name: 16 lowercase hex digits.
    pub fn has_form(text: &str) -> bool {
        digits(text).is_some()
    }

    /// The digits that stand for the id in a name of this node.
    pub(crate) fn hidden(self, node: &[u8; 16]) -> String {
        let [_, slot @ ..] = self.slot.to_be_bytes();
        let high = u32::from_be_bytes([self.worker, slot[0], slot[1], slot[2]]);
        let (mut left, mut right) = (high, self.generation);
        for round in 0..ROUNDS {
            (left, right) = (right, left ^ mixed(node, round, right));
        }
        format!("{left:08x}{right:08x}")
    }

    /// The id that [`Self::hidden`] wrote for this node.
    pub(crate) fn revealed(text: &str, node: &[u8; 16]) -> Option<Self> {
        let bits = digits(text)?;
        let (mut left, mut right) = ((bits >> 32) as u32, bits as u32);
        for round in (0..ROUNDS).rev() {
            (left, right) = (right ^ mixed(node, round, left), left);
        }
        let [worker, a, b, c] = left.to_be_bytes();
        Some(Self {
            worker,
            slot: u32::from_be_bytes([0, a, b, c]),
            generation: right,
        })
    }
}

fn digits(text: &str) -> Option<u64> {
    let plain = text
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if text.len() != 16 || !plain {
        return None;
    }
    u64::from_str_radix(text, 16).ok()
}

fn mixed(node: &[u8; 16], round: u8, half: u32) -> u32 {
    let mut message = [0; 21];
    message[..16].copy_from_slice(node);
    message[16] = round;
    message[17..].copy_from_slice(&half.to_be_bytes());
    SipHasher24::new_with_key(&KEY).hash(&message) as u32
}
