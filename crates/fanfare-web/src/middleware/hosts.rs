//! Refuses requests for other hosts.

use std::future::{Ready, ready};

use actix_web::Error;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};

use super::gate::{Gate, Gated};
use super::host_rule::HostRule;
use crate::refusal::Refusal;

/// Refuses requests and handshakes for hosts that [`HostRule`] does not allow, so that a page whose
/// name leads here cannot read what this server answers.
///
/// The answer is 421 with code `host_denied`, or 400 with code `bad_header` for several `Host`
/// headers, and for a target that names another host than the header.
///
/// ```
/// use actix_web::App;
/// use fanfare_consumer::middleware::{HostRule, Hosts};
///
/// let app = App::new().wrap(Hosts::new(HostRule::local().and([".example.com"])));
/// # let _ = app;
/// ```
#[derive(Debug, Clone)]
pub struct Hosts(HostRule);

impl Hosts {
    /// Allows what the rule allows.
    pub fn new(rule: HostRule) -> Self {
        Self(rule)
    }
}

impl Gate for Hosts {
    async fn pass(&self, request: &ServiceRequest) -> Result<(), Error> {
        let checked = self.0.check(request.request());
        checked.map_err(|error| Refusal::from(error).into())
    }
}

impl<S, B> Transform<S, ServiceRequest> for Hosts
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
