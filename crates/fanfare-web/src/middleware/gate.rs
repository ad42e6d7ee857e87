//! The common part of the middlewares here: a check before a request is passed on.

use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::Error;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse};
use futures_util::future::LocalBoxFuture;

/// Lets a request pass, or says why not.
pub(crate) trait Gate: 'static {
    fn pass(&self, request: &ServiceRequest) -> impl Future<Output = Result<(), Error>>;
}

/// A service that a gate protects. A refusal is a response and not an error, so that outer
/// middleware can see it.
pub struct Gated<S, G> {
    service: Rc<S>,
    gate: Rc<G>,
}

impl<S, G> Gated<S, G> {
    pub(crate) fn new(service: S, gate: G) -> Self {
        Self {
            service: Rc::new(service),
            gate: Rc::new(gate),
        }
    }
}

impl<S, B, G> Service<ServiceRequest> for Gated<S, G>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
    G: Gate,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Error>>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.service.poll_ready(context)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let (service, gate) = (Rc::clone(&self.service), Rc::clone(&self.gate));
        Box::pin(async move {
            if let Err(refusal) = gate.pass(&request).await {
                let response = request.error_response(refusal);
                return Ok(response.map_into_right_body());
            }
            let response = service.call(request).await?;
            Ok(response.map_into_left_body())
        })
    }
}
