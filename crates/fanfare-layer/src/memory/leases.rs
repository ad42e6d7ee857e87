//! The leases of nodes in one process.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{self, BoxFuture};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::lease::{Claimed, LeaseError, LeaseStore, LeaseToken};

/// Who holds which lease until when. Grows by the names of a program's leases.
#[derive(Default)]
pub(super) struct LeaseTable(Mutex<HashMap<String, (LeaseToken, Instant)>>);

impl LeaseTable {
    fn claim_now(&self, name: &str, token: LeaseToken, ttl: Duration) -> Claimed {
        let now = Instant::now();
        let mut leases = self.0.lock();
        match leases.get(name) {
            Some((holder, until)) if *holder != token && *until > now => {
                Claimed::Taken(*until - now)
            }
            _ => {
                leases.insert(name.to_owned(), (token, now + ttl));
                Claimed::Held
            }
        }
    }
}

impl LeaseStore for LeaseTable {
    fn claim(
        &self,
        name: &str,
        token: LeaseToken,
        ttl: Duration,
    ) -> BoxFuture<'static, Result<Claimed, LeaseError>> {
        future::ready(Ok(self.claim_now(name, token, ttl))).boxed()
    }

    fn release(&self, name: &str, token: LeaseToken) -> BoxFuture<'static, Result<(), LeaseError>> {
        let mut leases = self.0.lock();
        if leases.get(name).is_some_and(|(holder, _)| *holder == token) {
            leases.remove(name);
        }
        future::ready(Ok(())).boxed()
    }
}
