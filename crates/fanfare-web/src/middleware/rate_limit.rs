//! Refuses clients that send too many requests.

use std::future::{Ready, ready};
use std::net::IpAddr;
use std::time::Duration;

use actix_web::Error;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use fanfare_node::Budgets;

use super::gate::{Gate, Gated};
use crate::client::client;
use crate::refusal::Refusal;

/// Limits the requests of each client: so many at once, and so many in every period. A refused
/// request gets 429 with code `rate_limited` and `Retry-After` in seconds, and does not count.
///
/// A client is an address that [`client`] returns. Behind a proxy this needs
/// [`TrustedProxies`](crate::TrustedProxies) in the App. For IPv6 a client is a network of 64 bits.
/// Processes on a Unix socket are not limited. At most 65,536 clients are counted separately (about
/// 4 MB). All further clients share one count.
///
/// Clones share their counts. Create the limit outside of the App's factory, which runs on every
/// worker thread:
///
/// ```
/// use std::time::Duration;
///
/// use actix_web::App;
/// use fanfare_consumer::middleware::RateLimit;
///
/// let limit = RateLimit::per_client(10, Duration::from_secs(60)).burst(20);
/// let app = move || App::new().wrap(limit.clone());
/// # let _ = app();
/// ```
#[derive(Clone)]
pub struct RateLimit(Budgets);

impl RateLimit {
    /// Allows `count` requests at once, and `count` in every `period`, for each client. A count of
    /// zero is one. A period of zero limits nothing, and a period beyond a year is a year.
    pub fn per_client(count: u32, period: Duration) -> Self {
        Self(Budgets::new(count, period))
    }

    /// How many requests a client may send at once after it has sent none for a while. Zero counts
    /// as one.
    #[must_use]
    pub fn burst(self, burst: u32) -> Self {
        Self(self.0.burst(burst))
    }

    /// Takes a request from the client's budget, for what no middleware can tell.
    ///
    /// # Errors
    /// How long to wait for the next. Then nothing was taken.
    pub fn take(&self, client: IpAddr) -> Result<(), Duration> {
        self.0.take(client)
    }
}

impl Gate for RateLimit {
    async fn pass(&self, request: &ServiceRequest) -> Result<(), Error> {
        let Some(client) = client(request.request()) else {
            return Ok(());
        };
        self.0.take(client).map_err(|wait| {
            tracing::debug!(path = request.path(), "a client asks too often");
            Refusal::too_often("too many requests", wait).into()
        })
    }
}

impl<S, B> Transform<S, ServiceRequest> for RateLimit
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = Gated<S, Self>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Gated::new(service, self.clone())))
    }
}
