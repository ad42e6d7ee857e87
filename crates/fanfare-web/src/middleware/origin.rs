//! Refuses handshakes from the pages of other origins.

use std::future::{Ready, ready};

use actix_web::Error;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::header;

use super::gate::{Gate, Gated};
use super::origin_rule::OriginRule;
use crate::handshake::asks_for_websocket;
use crate::refusal::Refusal;

/// Refuses WebSocket handshakes from origins that [`OriginRule`] does not allow. This matters for
/// cookies, because a browser sends them with a handshake from any page.
///
/// The answer is 403 with code `origin_denied`, and a warning with origin and path is logged.
///
/// ```
/// use actix_web::App;
/// use fanfare_consumer::middleware::Origins;
///
/// let app = App::new().wrap(Origins::same_host());
/// let other = App::new().wrap(Origins::allow(["https://app.example.com", "localhost"]));
/// # let _ = (app, other);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Origins {
    rule: OriginRule,
    also_http: bool,
}

impl Origins {
    /// The default rule: no origin at all, or the host and port that the request was sent to.
    pub fn same_host() -> Self {
        Self::default()
    }

    /// Allows the origins that match at least one pattern. [`OriginRule`] has the table of
    /// patterns.
    pub fn allow<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>) -> Self {
        Self {
            rule: OriginRule::patterns(patterns),
            also_http: false,
        }
    }

    /// Applies the rule also to requests that are not handshakes. A request without an `Origin`
    /// passes: browsers send none when a user opens a page, and always send one when a script of
    /// another site makes the request.
    #[must_use]
    pub fn also_http(mut self) -> Self {
        self.also_http = true;
        self
    }

    fn judges(&self, request: &ServiceRequest) -> bool {
        let headers = request.headers();
        asks_for_websocket(headers) || (self.also_http && headers.contains_key(header::ORIGIN))
    }
}

impl Gate for Origins {
    async fn pass(&self, request: &ServiceRequest) -> Result<(), Error> {
        if !self.judges(request) {
            return Ok(());
        }
        self.rule
            .check(request.request())
            .map_err(|denied| Refusal::from(denied).into())
    }
}

impl<S, B> Transform<S, ServiceRequest> for Origins
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
