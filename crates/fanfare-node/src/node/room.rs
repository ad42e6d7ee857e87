//! Whether there is room for another session.

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Node, Shared};
use crate::addresses::Network;
use crate::error::AdmitError;

impl Node {
    /// Takes a handshake of a client from what its address may send. A refusal is counted. A client
    /// without an address is not limited.
    ///
    /// # Errors
    /// How long the address has to wait for its next handshake.
    pub fn take_handshake(&self, client: Option<IpAddr>) -> Result<(), Duration> {
        let taken = self.shared.addresses.take_handshake(client);
        taken.inspect_err(|_| self.shared.metrics.refused.rate_limited.inc())
    }

    /// Whether a session of this client would be seated now: for what is to be spared when there is
    /// no room. A refusal is counted as that of [`Ticket::admit`](crate::Ticket::admit) is.
    ///
    /// # Errors
    /// [`AdmitError::Draining`], [`AdmitError::NoMemory`], [`AdmitError::NodeFull`] or
    /// [`AdmitError::TooManySessions`].
    pub fn check_room(&self, client: Option<IpAddr>) -> Result<(), AdmitError> {
        self.shared.check_room(client.map(Network::of))
    }
}

impl Shared {
    /// Counts a session in, if there is room for it.
    pub(crate) fn reserve_session(&self, network: Option<Network>) -> Result<(), AdmitError> {
        self.check_door()?;
        let limit = self.options.limits.sessions;
        if self.sessions.fetch_add(1, Ordering::AcqRel) >= limit {
            self.sessions.fetch_sub(1, Ordering::AcqRel);
            self.metrics.refused.node_full.inc();
            return Err(AdmitError::NodeFull { limit });
        }
        if let Some(network) = network
            && let Err(limit) = self.addresses.sessions().enter(network)
        {
            self.sessions.fetch_sub(1, Ordering::AcqRel);
            return Err(self.too_many_sessions(limit));
        }
        self.metrics.sessions.inc();
        Ok(())
    }

    /// Whether nobody is admitted, whatever the number of sessions.
    fn check_door(&self) -> Result<(), AdmitError> {
        let refused = &self.metrics.refused;
        if self.refusing.load(Ordering::Acquire) {
            refused.draining.inc();
            return Err(AdmitError::Draining);
        }
        if self.options.memory.is_short() {
            refused.no_memory.inc();
            self.options.memory.relieve();
            return Err(AdmitError::NoMemory);
        }
        Ok(())
    }

    /// What [`Self::reserve_session`] would answer now; counts nobody in.
    fn check_room(&self, network: Option<Network>) -> Result<(), AdmitError> {
        self.check_door()?;
        let limit = self.options.limits.sessions;
        if self.sessions.load(Ordering::Acquire) >= limit {
            self.metrics.refused.node_full.inc();
            return Err(AdmitError::NodeFull { limit });
        }
        let counts = self.addresses.sessions();
        let room = network.map_or(Ok(()), |network| counts.check(network));
        room.map_err(|limit| self.too_many_sessions(limit))
    }

    fn too_many_sessions(&self, limit: usize) -> AdmitError {
        self.metrics.refused.too_many_sessions.inc();
        AdmitError::TooManySessions { limit }
    }

    /// Counts a session of an address out.
    pub(crate) fn leave(&self, network: Option<Network>) {
        if let Some(network) = network {
            self.addresses.sessions().leave(network);
        }
    }

    pub(crate) fn return_session(&self) {
        self.metrics.sessions.dec();
        if self.sessions.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.emptied.notify_waiters();
        }
    }
}
