//! Wrong API keys: each address has a few tries, and then has to wait.
//!
//! A right key is never slowed. Whoever guesses behind the same proxy does not lock its owner out.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use actix_web::http::StatusCode;
use fanfare_layer::Throttle;
use fanfare_web::middleware::RateLimit;
use fanfare_web::{Client, Code, Refusal};

use crate::metrics::HttpMetrics;

/// Wrong keys of an address that are answered at once, and then in every minute.
const TRIES: u32 = 10;
const PERIOD: Duration = Duration::from_secs(60);
/// The clients of a Unix socket that name no address share one, which no client has.
const NO_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The tries of all addresses, for the whole process.
pub(crate) struct Guesses {
    budgets: RateLimit,
    told: Throttle,
}

impl Guesses {
    pub(crate) fn new() -> Self {
        Self {
            budgets: RateLimit::per_client(TRIES, PERIOD),
            told: Throttle::new(),
        }
    }

    /// Counts a wrong key, and says how its request is refused: 401, or 429 with how long to wait.
    pub(crate) fn refuse(&self, client: &Client, metrics: &HttpMetrics) -> Refusal {
        let outcome = self.budgets.take(client.ip().unwrap_or(NO_ADDRESS));
        let Err(wait) = outcome else {
            metrics.wrong_key(StatusCode::UNAUTHORIZED);
            return Refusal::new(Code::Unauthorized, "the key is not known here");
        };
        metrics.wrong_key(StatusCode::TOO_MANY_REQUESTS);
        if let Some(times) = self.told.admit(1) {
            tracing::warn!(
                times,
                "an address sends many wrong API keys and was told to wait"
            );
        }
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let message = "too many wrong keys from this address";
        Refusal::new(Code::RateLimited, message).retry_after(seconds)
    }
}
