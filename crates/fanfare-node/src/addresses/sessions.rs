//! How many sessions each address has.

use std::collections::HashMap;
use std::num::NonZeroUsize;

use parking_lot::Mutex;

use super::Network;

/// Sessions by address. Bounded by the number of sessions: an address without any has no entry.
pub(crate) struct SessionCounts {
    /// `None`: nothing is counted.
    limit: Option<NonZeroUsize>,
    /// Hashed with a random key, because strangers choose their networks.
    counts: Mutex<HashMap<Network, usize>>,
}

impl SessionCounts {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit: NonZeroUsize::new(limit),
            counts: Mutex::default(),
        }
    }

    /// Whether one more session of this address has room, or the limit.
    pub(crate) fn check(&self, network: Network) -> Result<(), usize> {
        match self.limit {
            Some(limit) => under(limit, self.counts.lock().get(&network)),
            None => Ok(()),
        }
    }

    /// Counts a session in, if there is room for it.
    pub(crate) fn enter(&self, network: Network) -> Result<(), usize> {
        let Some(limit) = self.limit else {
            return Ok(());
        };
        let mut counts = self.counts.lock();
        under(limit, counts.get(&network))?;
        *counts.entry(network).or_default() += 1;
        Ok(())
    }

    /// Counts a session out that [`Self::enter`] has counted in.
    pub(crate) fn leave(&self, network: Network) {
        if self.limit.is_none() {
            return;
        }
        let mut counts = self.counts.lock();
        let Some(count) = counts.get_mut(&network) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            counts.remove(&network);
            // A map that a crowd has grown goes back to what its rest needs.
            if counts.capacity() > 1024 && counts.len() < counts.capacity() / 8 {
                counts.shrink_to_fit();
            }
        }
    }
}

fn under(limit: NonZeroUsize, count: Option<&usize>) -> Result<(), usize> {
    match count {
        Some(count) if *count >= limit.get() => Err(limit.get()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn network(last: u8) -> Network {
        Network::of(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn each_address_has_its_own_count_and_nothing_is_kept_of_one_without_sessions() {
        let counts = SessionCounts::new(2);
        assert_eq!(counts.enter(network(1)), Ok(()));
        assert_eq!(counts.enter(network(1)), Ok(()));
        assert_eq!(counts.check(network(1)), Err(2));
        assert_eq!(counts.enter(network(1)), Err(2));
        assert_eq!(counts.enter(network(2)), Ok(()));
        counts.leave(network(1));
        assert_eq!(counts.enter(network(1)), Ok(()));
        for last in [1, 1, 2] {
            counts.leave(network(last));
        }
        assert!(counts.counts.lock().is_empty());
    }

    #[test]
    fn the_table_shrinks_behind_a_crowd() {
        let counts = SessionCounts::new(1);
        let crowd =
            || (0..10_000_u32).map(|bits| Network::of(std::net::Ipv4Addr::from_bits(bits).into()));
        for network in crowd().skip(2) {
            counts.enter(network).unwrap();
        }
        for network in crowd().skip(2) {
            counts.leave(network);
        }
        assert!(counts.counts.lock().capacity() <= 1024);
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let counts = SessionCounts::new(0);
        for _ in 0..3 {
            assert_eq!(counts.enter(network(1)), Ok(()));
        }
        assert!(counts.counts.lock().is_empty());
    }
}
