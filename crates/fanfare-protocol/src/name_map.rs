//! Maps and sets with a seeded hash, whose keys are names or whatever else strangers have a hand in.
//!
//! Clients choose names of groups, by the paths that they connect to. A hash without a secret would let
//! them choose names that all collide, and every publish would search through them under a lock.

use std::collections::{HashMap, HashSet};

/// A hash with a random seed of its own.
pub type NameHash = foldhash::fast::RandomState;

/// A map by names.
pub type NameMap<K, V> = HashMap<K, V, NameHash>;

/// A set of names.
pub type NameSet<K> = HashSet<K, NameHash>;

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher as _;

    use rustc_hash::FxBuildHasher;

    use super::*;
    use crate::GroupName;

    const BUCKETS: u64 = 1 << 12;

    /// Names that fall into one bucket of a map of [`BUCKETS`] when the hash has no secret.
    fn chosen() -> Vec<GroupName> {
        (0..)
            .map(|number| GroupName::parse(&format!("room_{number}")).expect("a legal name"))
            .filter(|name| FxBuildHasher.hash_one(name) % BUCKETS == 0)
            .take(300)
            .collect()
    }

    #[test]
    fn names_that_are_chosen_to_collide_do_not() {
        let hash = NameHash::default();
        let mut filled = HashMap::<u64, u32>::new();
        for name in chosen() {
            *filled.entry(hash.hash_one(&name) % BUCKETS).or_default() += 1;
        }
        let fullest = filled.values().max();
        assert!(fullest < Some(&10), "{fullest:?} of 300 in one bucket");
    }

    #[test]
    fn what_collides_in_one_map_is_of_no_use_for_another() {
        let hashes = |hash: NameHash| -> Vec<u64> {
            chosen().iter().map(|name| hash.hash_one(name)).collect()
        };
        assert_ne!(hashes(NameHash::default()), hashes(NameHash::default()));
    }
}
