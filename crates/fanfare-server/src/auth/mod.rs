//! Who a client is, on the application's word: at a handshake its authentication URL is asked.
//!
//! A [`Question`] is everything that the application gets to see of a handshake. Handshakes that
//! look the same to it share one request while that runs, and what it decided for a short time
//! after it. Nobody is let in without a decision: no answer, and one that makes no sense, is a 503.

mod answer;
mod answers;
mod call;
mod question;
mod socket;
mod throttles;
mod tls;
mod turns;

use std::sync::Arc;

use anyhow::Context as _;
use fanfare_node::Identity;
use futures_util::FutureExt as _;

use crate::config::settings::Auth;
use crate::metrics::AuthMetrics;

use answer::Verdict;
use answers::{Answers, Found};
use call::Asker;
use question::Secret;

pub(crate) use answer::Denial;
pub(crate) use question::{Decided, Question};

/// Asks the application; one for the whole process.
pub(crate) struct Authenticator {
    asker: Arc<Asker>,
    answers: Arc<Answers>,
    /// What the keys of questions are made with; never leaves the process.
    secret: Secret,
    metrics: AuthMetrics,
}

/// Why a client is not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denied {
    /// The application says so.
    #[error("{0}")]
    Refused(Denial),
    /// The application gave no answer that says anything.
    #[error("the application cannot be asked who you are; try again")]
    Unavailable(#[from] Unavailable),
}

/// There is no decision; the log says why, and the metrics how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the application gave no answer")]
pub(crate) struct Unavailable;

/// What becomes of a request to the application.
type Outcome = Result<Verdict, Unavailable>;

impl Authenticator {
    /// Prepares the client; nothing is asked yet.
    ///
    /// # Errors
    /// When `auth.ca_file`, or without it the system, has no certificates of authorities, or the
    /// system gives no random bytes.
    pub(crate) fn new(settings: &Auth, metrics: AuthMetrics) -> anyhow::Result<Self> {
        Ok(Self {
            asker: Arc::new(Asker::new(settings, metrics.clone())?),
            answers: Arc::new(Answers::new(settings.cache, settings.cache_entries)),
            secret: Secret::random().context("making a key for the answers of auth.url")?,
            metrics,
        })
    }

    /// Who a client is.
    ///
    /// # Errors
    /// [`Denied`].
    pub(crate) async fn identify(&self, question: Question) -> Result<Arc<Identity>, Denied> {
        let key = question.key(&self.secret);
        let found = self.answers.find(key, |landing| {
            let asker = Arc::clone(&self.asker);
            async move { landing.land(asker.ask(&question).await) }.boxed()
        });
        let outcome = match found {
            Found::Started(running) => running.await,
            Found::Running(running) => {
                self.metrics.hit();
                running.await
            }
            Found::Decided(verdict) => {
                self.metrics.hit();
                Ok(verdict)
            }
        };
        match outcome? {
            Verdict::Accepted(identity) => Ok(identity),
            Verdict::Refused(denial) => Err(Denied::Refused(denial)),
        }
    }
}
