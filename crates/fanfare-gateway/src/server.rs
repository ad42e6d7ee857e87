//! The server: actix-server, actix-http and an actix-web App, with the takeover in place.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use actix_http::body::MessageBody;
use actix_http::{HttpService, KeepAlive, Protocol, Request, Response};
use actix_server::{ServerBuilder, ServerHandle};
use actix_service::{
    IntoServiceFactory, ServiceFactory, ServiceFactoryExt as _, fn_factory, fn_service, map_config,
};
use actix_web::Error;
use actix_web::dev::AppConfig;
use fanfare_node::Node;

use crate::bind::{Bind, BindError, Listener};
use crate::connection::Connection;
use crate::handshake::Ours;
use crate::takeover::TakeoverService;

/// How long an idle HTTP connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// How long requests under way may take once the server stops, in seconds.
const REQUESTS: u64 = 2;

/// Serves an actix-web App whose WebSocket routes hand their sockets to a node.
///
/// The App is built twice per worker thread, once for plain requests and once for handshakes:
/// state that they share comes from outside of its factory.
pub struct Server<F> {
    node: Node,
    app: F,
    workers: usize,
    handshake_timeout: Duration,
}

/// A server that listens and does not accept yet.
pub struct Bound {
    builder: ServerBuilder,
    addresses: Vec<Bind>,
}

impl<F> Server<F> {
    /// A server of `app`, with a worker thread per core.
    pub fn new(node: Node, app: F) -> Self {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            node,
            app,
            workers,
            handshake_timeout: Duration::from_secs(5),
        }
    }

    /// The number of worker threads, at most 64.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers.clamp(1, 64);
        self
    }

    /// How long a client may take to send a request's head, the App to answer a handshake, and a
    /// refused client to take its answer.
    #[must_use]
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// Listens on all addresses, or on none.
    ///
    /// # Errors
    /// [`BindError`] for the first address that cannot be listened on.
    pub fn bind<I, S, B>(self, binds: Vec<Bind>) -> Result<Bound, BindError>
    where
        F: Fn() -> I + Send + Clone + 'static,
        I: IntoServiceFactory<S, Request>,
        S: ServiceFactory<Request, Config = AppConfig> + 'static,
        S::Error: Into<Error>,
        S::InitError: fmt::Debug,
        S::Response: Into<Response<B>>,
        S::Service: 'static,
        B: MessageBody + 'static,
    {
        let mut listeners = Vec::new();
        for bind in binds {
            listeners.push(bind.listen()?);
        }
        let mut builder = ServerBuilder::new()
            .workers(self.workers)
            .shutdown_timeout(REQUESTS)
            .disable_signals();
        let mut addresses = Vec::new();
        for (bind, listener) in listeners {
            let name = bind.to_string();
            let listening = match listener {
                Listener::Tcp(listener) => {
                    let service = self.service();
                    builder.listen(name, listener, move || {
                        let service = service.clone();
                        accept(service)
                    })
                }
                Listener::Unix(listener) => {
                    let service = self.service();
                    builder.listen_uds(name, listener, move || {
                        let service = service.clone();
                        accept(service)
                    })
                }
            };
            builder = listening.map_err(|error| BindError {
                bind: bind.clone(),
                error,
            })?;
            addresses.push(bind);
        }
        Ok(Bound { builder, addresses })
    }

    fn service(&self) -> Parts<F>
    where
        F: Clone,
    {
        Parts {
            node: self.node.clone(),
            app: self.app.clone(),
            timeout: self.handshake_timeout,
        }
    }
}

impl Bound {
    /// The addresses, with the ports that were taken.
    pub fn addresses(&self) -> &[Bind] {
        &self.addresses
    }

    /// Accepts. Resolves when [`ServerHandle::stop`] has been called and the workers are gone; a
    /// graceful stop gives requests under way two seconds.
    pub fn run(self) -> (ServerHandle, impl Future<Output = std::io::Result<()>>) {
        let server = self.builder.run();
        (server.handle(), server)
    }
}

/// What a worker thread builds its services from.
#[derive(Clone)]
struct Parts<F> {
    node: Node,
    app: F,
    timeout: Duration,
}

fn accept<F, I, S, B, T>(
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
    let Parts { node, app, timeout } = parts;
    let handshakes = app.clone();
    let upgrade = fn_factory(move || {
        // On the worker thread: its registry is there before its first session.
        node.worker();
        let service = handshakes()
            .into_factory()
            .new_service(AppConfig::default());
        async move { Ok::<_, S::InitError>(TakeoverService::new(service.await?, timeout)) }
    });
    let plain = app()
        .into_factory()
        .map_err(|error| error.into().error_response());
    let http = HttpService::build()
        .keep_alive(KeepAlive::Timeout(KEEP_ALIVE))
        .client_request_timeout(timeout)
        .client_disconnect_timeout(timeout)
        .on_connect_ext(|_, data| {
            data.insert(Ours);
        })
        .upgrade(upgrade)
        .finish(map_config(plain, |()| AppConfig::default()));
    fn_service(|io: T| async move {
        let peer: Option<SocketAddr> = io.peer();
        Ok((io, Protocol::Http1, peer))
    })
    .and_then(http)
}
