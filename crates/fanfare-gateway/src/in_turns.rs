//! Passes the requests of a connection to the App: in turns, and none behind the last one.

use std::rc::Rc;
use std::task::{Context, Poll};

use actix_http::body::{BoxBody, EitherBody};
use actix_http::{ConnectionType, Request, Response, StatusCode};
use actix_service::{Service, ServiceFactory, fn_factory};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use crate::pipeline::Pipeline;

/// The service of one thread.
pub(crate) struct InTurns<S>(Rc<S>);

/// The App's services, with turns.
pub(crate) fn in_turns<F, B>(
    app: F,
) -> impl ServiceFactory<
    Request,
    Config = (),
    Response = F::Response,
    Error = F::Error,
    InitError = F::InitError,
    Service = InTurns<F::Service>,
    Future: 'static,
>
where
    F: ServiceFactory<Request, Config = (), Response = Response<EitherBody<B, BoxBody>>> + 'static,
    F::Service: 'static,
    B: 'static,
{
    let app = Rc::new(app);
    fn_factory(move || {
        let service = app.new_service(());
        async move { Ok(InTurns(Rc::new(service.await?))) }
    })
}

impl<S, B> Service<Request> for InTurns<S>
where
    S: Service<Request, Response = Response<EitherBody<B, BoxBody>>> + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = LocalBoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&self, request: Request) -> Self::Future {
        let app = Rc::clone(&self.0);
        let answered = async move {
            let Some(pipeline) = request.conn_data::<Rc<Pipeline>>().cloned() else {
                return app.call(request).await;
            };
            if pipeline.is_ending() {
                pipeline.muted().await;
                return Ok(nothing());
            }
            if pipeline.is_turn_over() {
                pipeline.next_turn().await;
            }
            pipeline.begin(request.head());
            let answer = app.call(request).await;
            pipeline.answered(answer.as_ref().ok().map(Response::head));
            answer
        };
        answered.boxed_local()
    }
}

/// What actix-http has to write for a request that is not answered; nobody gets it.
fn nothing<B>() -> Response<EitherBody<B, BoxBody>> {
    let mut response = Response::new(StatusCode::BAD_REQUEST);
    response
        .head_mut()
        .set_connection_type(ConnectionType::Close);
    response.map_body(|_, body| EitherBody::right(body))
}
