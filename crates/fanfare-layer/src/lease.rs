//! Leases: a claim that one node at a time holds.

use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;

/// What tells one holder of a lease from all others: 128 random bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LeaseToken(u128);

/// What became of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimed {
    /// The token holds the lease from now on for the time that was asked for.
    Held,
    /// Another token holds it, and for at most this long unless it is renewed.
    Taken(Duration),
}

/// Why a lease could neither be claimed nor given back: the layer did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no answer about a lease: {0}")]
pub struct LeaseError(pub String);

/// The leases of a layer, shared by its nodes. A lease ends by itself when its time has passed.
pub trait LeaseStore: Send + Sync + 'static {
    /// Takes a lease that is free, or renews one that this token holds.
    fn claim(
        &self,
        name: &str,
        token: LeaseToken,
        ttl: Duration,
    ) -> BoxFuture<'static, Result<Claimed, LeaseError>>;

    /// Gives a lease back; changes nothing if another token holds it.
    fn release(&self, name: &str, token: LeaseToken) -> BoxFuture<'static, Result<(), LeaseError>>;
}

impl LeaseToken {
    /// A new token from the system's random source.
    ///
    /// # Errors
    /// When the system has no random source.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(u128::from_ne_bytes(bytes)))
    }
}

impl fmt::Display for LeaseToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:032x}", self.0)
    }
}

impl fmt::Debug for LeaseToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}
