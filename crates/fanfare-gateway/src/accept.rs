//! What becomes of a connection that has been accepted.

use std::any::Any;
use std::cell::OnceCell;
use std::fmt;
use std::future::ready;
use std::io;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use actix_http::body::MessageBody;
use actix_http::error::DispatchError;
use actix_http::{Extensions, HttpService, KeepAlive, Protocol, Request, Response};
use actix_service::{
    IntoServiceFactory, ServiceFactory, ServiceFactoryExt as _, fn_factory, fn_service,
};
use actix_web::Error;
use actix_web::dev::AppConfig;
use fanfare_web::{Code, Host, Refusal, setup};
use rustix::net::{SendFlags, send};

use crate::app_once::AppOnce;
use crate::connection::Connection;
use crate::connections::{Connections, Crowd};
use crate::head_limit::{HeadLimits, within};
use crate::idle::{self, Idle, last_answer};
use crate::in_turns::in_turns;
use crate::paced::Paced;
use crate::pipeline::Pipeline;
use crate::takeover::TakeoverService;

/// Called with each new connection and the data that its requests will have.
pub(crate) type OnConnect = Arc<dyn Fn(&dyn Any, &mut Extensions) + Send + Sync>;

/// How the server treats one connection.
#[derive(Clone)]
pub(crate) struct ConnectionOptions {
    pub(crate) keep_alive: KeepAlive,
    pub(crate) client_request_timeout: Duration,
    pub(crate) client_disconnect_timeout: Duration,
    pub(crate) handshake_timeout: Duration,
    pub(crate) head: HeadLimits,
    pub(crate) write_timeout: Duration,
    pub(crate) on_connect: Option<OnConnect>,
}

/// What a worker thread builds its services from.
#[derive(Clone)]
pub(crate) struct Parts<F> {
    pub(crate) host: Host,
    pub(crate) app: F,
    pub(crate) connections: ConnectionOptions,
    pub(crate) crowd: Arc<Crowd>,
}

/// The service of one listener on one worker thread: plain requests and handshakes through the App.
pub(crate) fn accept<F, I, S, B, T>(
    parts: Parts<F>,
) -> impl ServiceFactory<T, Config = (), Response = (), Error = impl fmt::Debug, InitError = ()>
where
    F: Fn() -> I + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<Error>,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>>,
    S::Service: 'static,
    B: MessageBody + 'static,
    T: Connection,
{
    let Parts {
        host,
        app,
        connections,
        crowd,
    } = parts;
    let app = Rc::new(AppOnce::new(app));
    let handshakes = Rc::clone(&app);
    let (served, node) = (host.clone(), host.node().clone());
    let timeout = connections.handshake_timeout;
    let (limits, write_timeout) = (connections.head, connections.write_timeout);
    let upgrade = fn_factory(move || {
        // On the worker thread: its registry is there before its first session.
        host.node().worker();
        let (app, host) = (Rc::clone(&handshakes), host.clone());
        async move {
            let service = app.service::<I, S>().await?;
            Ok::<_, S::InitError>(TakeoverService::new(service, host, timeout, limits))
        }
    });
    let plain = fn_factory(move || {
        let app = Rc::clone(&app);
        async move { app.service::<I, S>().await }
    });
    let keep_alive = connections.keep_alive;
    let http = HttpService::build()
        .keep_alive(idle::with_grace(keep_alive))
        .client_request_timeout(connections.client_request_timeout)
        .client_disconnect_timeout(connections.client_disconnect_timeout)
        .on_connect_ext(move |io: &Idle<Paced<T>>, data| {
            if let Some(hook) = &connections.on_connect {
                hook(io.io().io(), data);
            }
            data.insert(served.clone());
            data.insert(Rc::clone(io.io().pipeline()));
        })
        .upgrade(upgrade)
        .finish(in_turns(within(
            limits,
            plain
                .map(|response: S::Response| setup::explain(response.into()))
                .map_err(|error: S::Error| error.into().error_response()),
        )));
    let here = OnceCell::new();
    fn_service(move |io: T| {
        let (worker, open) = here.get_or_init(|| {
            let worker = Rc::downgrade(&node.worker());
            (worker, Connections::here(&crowd))
        });
        io.tune();
        let peer: Option<SocketAddr> = io.peer();
        let pipeline = Pipeline::new(Weak::clone(worker));
        let Some(place) = open.admit(Rc::clone(&pipeline)) else {
            return ready(Err(refuse(io)));
        };
        let io = Paced::new(io, pipeline, place, write_timeout);
        ready(Ok((
            Idle::new(io, keep_alive, limits),
            Protocol::Http1,
            peer,
        )))
    })
    .and_then(http)
}

/// Tells a client that there is no place for it. The socket is empty, so it takes all of it at once;
/// the runtime does not know yet that it can be written to.
fn refuse<T: Connection>(io: T) -> DispatchError {
    let refusal = Refusal::new(Code::TooManyConnections, "too many connections are open");
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    if let Err(error) = send(&io, &last_answer(&refusal), flags) {
        tracing::debug!(%error, "a client without a place did not take its answer");
    }
    io.end();
    DispatchError::Io(io::ErrorKind::ConnectionRefused.into())
}
