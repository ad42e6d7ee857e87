//! How often each address may do something.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::Network;

/// Addresses that are counted separately. All further addresses share one budget.
const KNOWN: usize = 65_536;
/// Below this many entries nothing is thrown away.
const FEW: usize = 1024;
/// The longest pause between sweeps while the map is full.
const SWEEP: Duration = Duration::from_secs(1);
/// Longer periods count as this: a year.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// A budget for each address: so many at once, and so many in every period. An address is a
/// [`Network`]. At most 65,536 of them are counted separately (about 3 MB); all further ones share
/// one budget. Clones share their counts.
#[derive(Clone)]
pub struct Budgets {
    /// What one costs: the time after which it is forgotten.
    cost: Duration,
    burst: u32,
    clients: Arc<Mutex<Clients>>,
}

/// Per address the time at which its budget is whole again (GCRA, ITU-T I.371 annex A). Entries of
/// the past are as good as none.
struct Clients {
    /// Hashed with a random key, because strangers choose their networks.
    whole_at: HashMap<Network, Instant>,
    /// When the budget of the further addresses is whole again.
    others_whole_at: Instant,
    /// The number of entries at which those of the past are thrown away.
    sweep_at: usize,
    swept: Instant,
}

impl Budgets {
    /// Allows `count` at once, and `count` in every `period`, for each address. A count of zero is
    /// one. A period of zero limits nothing, and a period beyond a year is a year.
    pub fn new(count: u32, period: Duration) -> Self {
        let count = count.max(1);
        Self {
            cost: period.min(LONGEST) / count,
            burst: count,
            clients: Arc::new(Mutex::new(Clients::new())),
        }
    }

    /// How many an address may do at once after it has done none for a while. Zero counts as one.
    #[must_use]
    pub fn burst(mut self, burst: u32) -> Self {
        self.burst = burst.max(1);
        self
    }

    /// Takes one from the budget of an address. Nothing is taken when it is empty.
    ///
    /// # Errors
    /// How long to wait for the next.
    pub fn take(&self, client: IpAddr) -> Result<(), Duration> {
        let now = Instant::now();
        let budget = self.cost.saturating_mul(self.burst);
        let mut clients = self.clients.lock();
        let whole_at = clients.entry(Network::of(client), now);
        let spent = (*whole_at + self.cost).duration_since(now);
        if spent > budget {
            return Err(spent - budget);
        }
        *whole_at += self.cost;
        Ok(())
    }
}

impl Clients {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            whole_at: HashMap::new(),
            others_whole_at: now,
            sweep_at: FEW,
            swept: now,
        }
    }

    fn entry(&mut self, client: Network, now: Instant) -> &mut Instant {
        if self.whole_at.len() >= self.sweep_at {
            self.sweep(now);
        }
        let is_full = self.whole_at.len() >= KNOWN;
        let whole_at = if is_full && !self.whole_at.contains_key(&client) {
            &mut self.others_whole_at
        } else {
            self.whole_at.entry(client).or_insert(now)
        };
        *whole_at = (*whole_at).max(now);
        whole_at
    }

    /// Each sweep is paid for by as many new entries as it leaves, or by the time since the last.
    fn sweep(&mut self, now: Instant) {
        if self.sweep_at >= KNOWN && now.duration_since(self.swept) < SWEEP {
            return;
        }
        self.swept = now;
        self.whole_at.retain(|_, whole_at| *whole_at > now);
        self.sweep_at = (2 * self.whole_at.len()).clamp(FEW, KNOWN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_gets_its_burst_and_then_what_time_gives_back() {
        let limit = Budgets::new(2, Duration::from_secs(10)).burst(3);
        let client = address(1);
        for _ in 0..3 {
            assert_eq!(limit.take(client), Ok(()));
        }
        assert_eq!(limit.take(client), Err(Duration::from_secs(5)));
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(limit.take(client), Err(Duration::from_secs(1)));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(limit.take(client), Ok(()));
        assert!(limit.take(client).is_err());
        tokio::time::advance(Duration::from_secs(3600)).await;
        for _ in 0..3 {
            assert_eq!(limit.take(client), Ok(()));
        }
        assert!(limit.take(client).is_err());
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let limit = Budgets::new(1, Duration::from_secs(10));
        let take = |text: &str| limit.take(text.parse().unwrap()).is_ok();
        assert!(take("2001:db8::1"));
        assert!(!take("2001:db8::ffff:1"));
        assert!(take("2001:db8:0:1::1"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_clients_that_are_known_is_bounded() {
        let limit = Budgets::new(1, Duration::from_secs(10));
        let known = u32::try_from(KNOWN).unwrap();
        for number in 1..=known {
            assert_eq!(limit.take(address(number)), Ok(()));
        }
        assert_eq!(limit.take(address(known + 9)), Ok(()));
        assert!(limit.take(address(known + 1)).is_err());
        assert!(limit.take(address(7)).is_err());
        assert_eq!(limit.clients.lock().whole_at.len(), KNOWN);
        tokio::time::advance(Duration::from_secs(11)).await;
        assert_eq!(limit.take(address(known + 1)), Ok(()));
        assert_eq!(limit.clients.lock().whole_at.len(), 1);
    }

    #[test]
    fn extreme_limits_are_no_panic() {
        let client = address(1);
        let never = Budgets::new(0, Duration::MAX).burst(u32::MAX);
        assert_eq!(never.take(client), Ok(()));
        let free = Budgets::new(1, Duration::ZERO);
        for _ in 0..10 {
            assert_eq!(free.take(client), Ok(()));
        }
    }
}
