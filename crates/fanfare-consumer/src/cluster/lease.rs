//! A claim that one node of the cluster holds at a time.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fanfare_layer::{Claimed, LeaseError, LeaseStore, LeaseToken};
use fanfare_node::LayerGuard;
use fanfare_protocol::{GroupName, NameError};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::Cluster;

/// The shortest time of a lease.
const SHORTEST: Duration = Duration::from_millis(100);
/// A lease is renewed so often in its time.
const RENEWALS: u32 = 3;

/// Something that one node of the cluster does at a time, such as a clock: see
/// [`Cluster::lease`](crate::Cluster::lease). It holds nothing until it is claimed.
#[derive(Clone)]
pub struct Lease {
    name: Arc<str>,
    ttl: Duration,
    cluster: Cluster,
}

/// This node's hold on a [`Lease`]. It renews itself, and gives the lease back when it is dropped.
#[must_use = "a claim that is dropped is given back"]
pub struct Claim {
    /// Until when this node holds it; `None` when it does not any more.
    until: watch::Receiver<Option<Instant>>,
    /// Ends the renewal when it is dropped.
    kept: Option<mpsc::Sender<()>>,
}

/// Why a lease was not created.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidLease {
    /// The name is not valid: it is one for a group.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The time is shorter than 100 ms.
    #[error("a lease of {0:?} is too short: it lasts at least 100 ms, and better some seconds")]
    TooShort(Duration),
}

impl Lease {
    pub(super) fn new(name: &str, ttl: Duration, cluster: Cluster) -> Result<Self, InvalidLease> {
        // The rules of groups: the name stands in a key.
        let name = GroupName::parse(name)?;
        if ttl < SHORTEST {
            return Err(InvalidLease::TooShort(ttl));
        }
        Ok(Self {
            name: name.as_str().into(),
            ttl,
            cluster,
        })
    }

    /// Claims the lease if no other node holds it, nor another claim of this node.
    ///
    /// # Errors
    /// [`LeaseError`] when the layer does not answer.
    pub async fn try_claim(&self) -> Result<Option<Claim>, LeaseError> {
        Ok(self.attempt().await?.ok())
    }

    /// Waits until this node holds the lease. While the layer does not answer, it tries on. Returns
    /// `None` when the cluster is closed.
    pub async fn claim(&self) -> Option<Claim> {
        tokio::select! {
            () = self.cluster.node().closing() => None,
            claim = self.wait() => Some(claim),
        }
    }

    /// Does some work on one node at a time: claims the lease, runs the future of `work`, and gives
    /// the lease back when it ends. If this node loses the lease, because it could not reach the
    /// layer for too long, the future is dropped at its next await, and the lease is claimed again.
    /// Returns what the work returned, or `None` when the cluster was closed.
    ///
    /// A clock is a future that never ends. If the holder ends or dies, another node continues.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use fanfare_consumer::{Cluster, SendError};
    /// use serde_json::json;
    ///
    /// # async fn start(cluster: Cluster) -> Result<(), fanfare_consumer::InvalidLease> {
    /// let lease = cluster.lease("clock", Duration::from_secs(5))?;
    /// actix_web::rt::spawn(lease.run(async move || {
    ///     let mut seconds = tokio::time::interval(Duration::from_secs(1));
    ///     loop {
    ///         seconds.tick().await;
    ///         if let Err(error) = cluster.broadcast(&json!({"type": "clock.tick"})).await {
    ///             tracing::warn!(%error, "the clock missed a tick");
    ///         }
    ///     }
    /// }));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn run<T>(self, work: impl AsyncFn() -> T) -> Option<T> {
        loop {
            let mut claim = self.claim().await?;
            tokio::select! {
                done = work() => {
                    claim.release().await;
                    return Some(done);
                }
                () = claim.lost() => {}
            }
        }
    }

    fn store(&self) -> Arc<dyn LeaseStore> {
        self.cluster.node().layer().leases()
    }

    async fn wait(&self) -> Claim {
        let mut told = false;
        loop {
            let retry = self.ttl / RENEWALS;
            let pause = match self.attempt().await {
                Ok(Ok(claim)) => return claim,
                // Not longer than the lease lasts, so that a dead holder is followed at once.
                Ok(Err(left)) => left.min(retry),
                Err(error) => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!(lease = %self.name, %error, "a lease cannot be claimed yet");
                    }
                    retry
                }
            };
            sleep(pause).await;
        }
    }

    /// Claims it once; else says how long another claim lasts.
    async fn attempt(&self) -> Answer {
        self.cluster.layer_answers().await;
        let token = LeaseToken::random().map_err(|error| LeaseError(error.to_string()))?;
        let (answer, answered) = oneshot::channel();
        let claiming = Claiming {
            lease: self.clone(),
            token,
            _layer: self.cluster.node().hold_layer(),
        };
        // A task of its own gives the lease back also if nobody waits for the answer any more.
        tokio::spawn(claiming.run(answer));
        let gone = |_| Err(LeaseError("the runtime has ended".into()));
        answered.await.unwrap_or_else(gone)
    }
}

impl Claim {
    /// Whether this node holds the lease now. False at the latest when the time of the lease has
    /// passed since it was last renewed, so no other node holds it while this is true, except after
    /// a loss of data in Redis.
    pub fn is_held(&self) -> bool {
        let until = *self.until.borrow();
        until.is_some_and(|until| Instant::now() < until)
    }

    /// Waits until this node does not hold the lease any more.
    pub async fn lost(&mut self) {
        // An error means that the renewal has ended with its runtime.
        let _ended = self.until.wait_for(Option::is_none).await;
    }

    /// Gives the lease back, and waits for that. Dropping the claim does it in the background.
    pub async fn release(mut self) {
        drop(self.kept.take());
        while self.until.changed().await.is_ok() {}
    }
}

/// The task of a claim, from its request to its end.
struct Claiming {
    lease: Lease,
    token: LeaseToken,
    /// The cluster does not close before the lease is given back.
    _layer: LayerGuard,
}

type Answer = Result<Result<Claim, Duration>, LeaseError>;

impl Claiming {
    async fn run(self, answer: oneshot::Sender<Answer>) {
        let asked = Instant::now();
        match self.claim().await {
            Ok(Claimed::Taken(left)) => {
                let _nobody = answer.send(Ok(Err(left)));
            }
            Ok(Claimed::Held) => self.hold(asked, answer).await,
            Err(error) => {
                let _nobody = answer.send(Err(error));
                // It may have been taken all the same.
                self.give_back().await;
            }
        }
    }

    /// Changes nothing if another token holds the lease.
    async fn give_back(&self) {
        let name = &self.lease.name;
        let released = self.lease.store().release(name, self.token);
        if let Err(error) = released.await {
            tracing::debug!(lease = %name, %error, "a lease was not given back, and ends by itself");
        }
    }

    fn claim(&self) -> impl Future<Output = Result<Claimed, LeaseError>> + use<> {
        let Lease { name, ttl, .. } = &self.lease;
        self.lease.store().claim(name, self.token, *ttl)
    }

    async fn hold(&self, asked: Instant, answer: oneshot::Sender<Answer>) {
        let (until, receiver) = watch::channel(Some(asked + self.lease.ttl));
        let (kept, mut dropped) = mpsc::channel::<()>(1);
        let claim = Claim {
            until: receiver,
            kept: Some(kept),
        };
        if answer.send(Ok(Ok(claim))).is_ok() {
            tokio::select! {
                _ = dropped.recv() => {}
                () = self.lease.cluster.node().closing() => {}
                reason = self.renew(asked, &until) => {
                    tracing::warn!(lease = %self.lease.name, reason, "a lease is lost");
                }
            }
        }
        until.send_replace(None);
        self.give_back().await;
    }

    /// Renews the lease until it is lost; says why it is.
    async fn renew(&self, asked: Instant, until: &watch::Sender<Option<Instant>>) -> String {
        let ttl = self.lease.ttl;
        let (mut asked, mut end) = (asked, asked + ttl);
        loop {
            sleep_until((asked + ttl / RENEWALS).min(end)).await;
            asked = Instant::now();
            match timeout_at(end, self.claim()).await {
                Ok(Ok(Claimed::Held)) => end = asked + ttl,
                Ok(Ok(Claimed::Taken(_))) => return "another node holds it".into(),
                Ok(Err(error)) if Instant::now() >= end => return error.to_string(),
                // The next attempt follows, if there is time for one.
                Ok(Err(_)) => {}
                Err(_) => return format!("the layer did not renew it within {ttl:?}"),
            }
            until.send_replace(Some(end));
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = out.debug_struct("Lease");
        out.field("name", &self.name).field("ttl", &self.ttl);
        out.finish_non_exhaustive()
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = out.debug_struct("Claim");
        out.field("is_held", &self.is_held());
        out.finish_non_exhaustive()
    }
}
