//! The upgrade service. It gets every request with `Upgrade: websocket` and every CONNECT, and
//! writes the responses to them.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_codec::{Framed, ReadBuf};
use actix_http::body::{BoxBody, MessageBody, to_bytes};
use actix_http::h1::{Codec, SendResponse};
use actix_http::{ConnectionType, HttpMessage as _, Request, Response};
use actix_service::Service;
use actix_web::http::{Method, StatusCode};
use actix_web::{Error, ResponseError as _};
use fanfare_web::{Code, Host, Offer, Refusal, Takeover, setup, spelling};
use futures_util::FutureExt as _;
use tokio::io::AsyncWriteExt as _;

use crate::connection::Connection;
use crate::head;
use crate::head_limit::HeadLimits;
use crate::pipeline::Pipeline;

/// What is read of a refused client before its connection ends, in bytes: unread input would make
/// the system answer with a reset that overtakes the response.
const DISCARD: usize = 64 * 1024;

/// Runs handshakes through an App and hands over the connections of those that it accepts.
pub(crate) struct TakeoverService<S, B> {
    app: Rc<S>,
    host: Host,
    /// For the App's answer and for writing a refusal, each.
    timeout: Duration,
    limits: HeadLimits,
    body: PhantomData<B>,
}

/// Never produced: what goes wrong with one connection ends that connection here.
#[derive(Debug)]
pub(crate) enum Never {}

impl fmt::Display for Never {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl From<Never> for Response<BoxBody> {
    fn from(never: Never) -> Self {
        match never {}
    }
}

impl<S, B> TakeoverService<S, B> {
    pub(crate) fn new(app: Rc<S>, host: Host, timeout: Duration, limits: HeadLimits) -> Self {
        Self {
            app,
            host,
            timeout,
            limits,
            body: PhantomData,
        }
    }
}

impl<S, B, T> Service<(Request, Framed<T, Codec>)> for TakeoverService<S, B>
where
    S: Service<Request> + 'static,
    S::Error: Into<Error>,
    S::Response: Into<Response<B>>,
    B: MessageBody + 'static,
    T: Connection,
{
    type Response = ();
    type Error = Never;
    type Future = Pin<Box<dyn Future<Output = Result<(), Never>>>>;

    fn poll_ready(&self, _: &mut Context<'_>) -> Poll<Result<(), Never>> {
        // An App is always ready; a wrapped one answers errors in its call.
        Poll::Ready(Ok(()))
    }

    fn call(&self, (mut request, mut framed): (Request, Framed<T, Codec>)) -> Self::Future {
        let (app, timeout) = (Rc::clone(&self.app), self.timeout);
        let pipeline = request.conn_data::<Rc<Pipeline>>();
        if pipeline.is_some_and(|pipeline| pipeline.is_ending()) {
            return Box::pin(finish(framed, timeout).map(Ok));
        }
        framed.io_mut().shakes_hands();
        if let Err(too_long) = self.limits.check(request.head()) {
            let response = refused(&too_long.refusal());
            return Box::pin(async move {
                conclude(response, framed, timeout).await;
                Ok(())
            });
        }
        let io = framed.io_ref();
        let offer = Offer::new(io.link(), self.host.clone());
        request.extensions_mut().insert(offer);
        let head = request.head_mut();
        head.peer_addr = io.peer();
        spelling::respell(&mut head.uri);
        Box::pin(async move {
            let response = answer::<S, B>(&*app, request, timeout).await;
            conclude(response, framed, timeout).await;
            Ok(())
        })
    }
}

async fn answer<S, B>(app: &S, request: Request, timeout: Duration) -> Response<BoxBody>
where
    S: Service<Request>,
    S::Error: Into<Error>,
    S::Response: Into<Response<B>>,
    B: MessageBody + 'static,
{
    if request.method() == Method::CONNECT {
        return refused(
            &Refusal::new(Code::MethodNotAllowed, "CONNECT is not served").allowing("GET"),
        );
    }
    let answer = AssertUnwindSafe(async { app.call(request).await }).catch_unwind();
    match tokio::time::timeout(timeout, answer).await {
        Ok(Ok(Ok(response))) => setup::explain_handshake(response.into()),
        Ok(Ok(Err(error))) => {
            let error: Error = error.into();
            Response::from(error.error_response()).map_into_boxed_body()
        }
        Ok(Err(_panic)) => {
            tracing::error!("the handler of a handshake panicked");
            refused(&Refusal::internal())
        }
        Err(_elapsed) => {
            let message = "the handshake was not answered in time";
            refused(&Refusal::new(Code::HandshakeTimeout, message))
        }
    }
}

/// A refusal as actix-http writes it.
fn refused(refusal: &Refusal) -> Response<BoxBody> {
    refusal.error_response().into()
}

async fn conclude<T: Connection>(
    mut response: Response<BoxBody>,
    framed: Framed<T, Codec>,
    timeout: Duration,
) {
    let ticket = Takeover::remove(&mut response.extensions_mut());
    if let Some(ticket) = ticket
        && response.status() == StatusCode::SWITCHING_PROTOCOLS
    {
        let parts = framed.into_parts();
        // The response to a request that came in front of the handshake may still wait.
        let head = head::switching_protocols(parts.write_buf, &response);
        ticket.open(parts.io.into_socket(), head, parts.read_buf.freeze());
        return;
    }
    response
        .head_mut()
        .set_connection_type(ConnectionType::Close);
    let refused = async {
        let (head, body) = response.into_parts();
        let body = match to_bytes(body).await {
            Ok(body) => body,
            Err(error) => {
                tracing::error!(%error, "the body of a refusal failed");
                return;
            }
        };
        match SendResponse::new(framed, head.set_body(body)).await {
            Ok(framed) => discard(framed.into_parts().io).await,
            Err(error) => tracing::debug!(%error, "a refused client did not take its answer"),
        }
    };
    if tokio::time::timeout(timeout, refused).await.is_err() {
        tracing::debug!("a refused client was slow to go");
    }
}

/// Writes what came in front of a handshake that is not answered, because the connection ends.
async fn finish<T: Connection>(framed: Framed<T, Codec>, timeout: Duration) {
    let parts = framed.into_parts();
    let (mut io, written) = (parts.io, parts.write_buf);
    let finished = async {
        if let Err(error) = io.write_all(&written).await {
            tracing::debug!(%error, "a client did not take its last answer");
            return;
        }
        discard(io).await;
    };
    if tokio::time::timeout(timeout, finished).await.is_err() {
        tracing::debug!("a client was slow to go");
    }
}

/// Reads a bounded rest, until the client has seen the end.
async fn discard<T: Connection>(mut io: T) {
    io.end();
    let mut scratch = [0; 1024];
    let mut left = DISCARD;
    while left > 0 {
        let mut buffer = ReadBuf::new(&mut scratch);
        let read =
            std::future::poll_fn(|context| Pin::new(&mut io).poll_read(context, &mut buffer));
        match read.await {
            Ok(()) if !buffer.filled().is_empty() => {
                left = left.saturating_sub(buffer.filled().len())
            }
            _ => return,
        }
    }
}
