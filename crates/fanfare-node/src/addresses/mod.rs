//! What a node keeps of the addresses of its clients: whose handshakes come too often, and how many
//! sessions each has.

mod budgets;
mod network;
mod sessions;

use std::net::IpAddr;
use std::time::Duration;

pub use budgets::Budgets;
pub use network::Network;

use crate::options::RateLimits;
use sessions::SessionCounts;

/// The budgets and counts of one node.
pub(crate) struct Addresses {
    /// `None`: handshakes are not limited.
    handshakes: Option<Budgets>,
    sessions: SessionCounts,
}

impl Addresses {
    pub(crate) fn new(limits: &RateLimits) -> Self {
        let rate = limits.handshakes_per_second_per_address;
        let handshakes =
            (rate > 0).then(|| Budgets::new(rate, Duration::from_secs(1)).burst(limits.burst));
        Self {
            handshakes,
            sessions: SessionCounts::new(limits.sessions_per_address),
        }
    }

    /// Takes a handshake from an address's budget, or says how long to wait for the next. A client
    /// without an address is not limited.
    pub(crate) fn take_handshake(&self, client: Option<IpAddr>) -> Result<(), Duration> {
        match (&self.handshakes, client) {
            (Some(budgets), Some(client)) => budgets.take(client),
            _ => Ok(()),
        }
    }

    pub(crate) fn sessions(&self) -> &SessionCounts {
        &self.sessions
    }
}
