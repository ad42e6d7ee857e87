//! The server: actix-server, actix-http and an actix-web App, with the takeover in place.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use actix_http::body::MessageBody;
use actix_http::{HttpService, KeepAlive, Protocol, Request, Response};
use actix_server::ServerBuilder;
use actix_service::{
    IntoServiceFactory, ServiceFactory, ServiceFactoryExt as _, fn_factory, fn_service, map_config,
};
use actix_web::Error;
use actix_web::dev::AppConfig;
use fanfare_consumer::{Cluster, Ours};

use crate::address::IntoBinds;
use crate::bind::{BindError, Listener};
use crate::connection::Connection;
use crate::serve::Bound;
use crate::takeover::TakeoverService;

/// How long an idle HTTP connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// How long requests under way may take once the server stops, in seconds.
const REQUESTS: u64 = 2;

/// Adds a listener of an App to a server.
pub(crate) type Listen =
    Box<dyn Fn(ServerBuilder, String, Listener) -> std::io::Result<ServerBuilder>>;

/// Serves an actix-web App whose WebSocket routes hand their sockets to the node of a cluster.
///
/// The App is built twice per worker thread, once for plain requests and once for handshakes:
/// state that they share comes from outside of its factory.
///
/// ```no_run
/// use actix_web::{App, web};
/// use fanfare_consumer::Cluster;
/// use fanfare_gateway::Server;
///
/// #[actix_web::main]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let app = || App::new().route("/", web::get().to(async || "hello"));
///     Server::new(Cluster::memory()?, app).bind("127.0.0.1:8000")?.serve().await?;
///     Ok(())
/// }
/// ```
pub struct Server<F> {
    cluster: Cluster,
    app: F,
    workers: usize,
    handshake_timeout: Duration,
}

impl<F> Server<F> {
    /// A server of `app` whose sessions are of the cluster's node, with a worker thread per core.
    /// Handlers get the cluster as an extractor. A reference to a cluster does as well.
    pub fn new(cluster: impl Into<Cluster>, app: F) -> Self {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            cluster: cluster.into(),
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

    /// Listens: on `"127.0.0.1:8000"`, on `"unix:/run/app.sock"`, on any [`IntoBinds`]. Of several
    /// addresses on all or on none.
    ///
    /// # Errors
    /// [`BindError`] for the first address that cannot be listened on.
    pub fn bind<I, S, B>(self, binds: impl IntoBinds) -> Result<Bound, BindError>
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
        let builder = ServerBuilder::new()
            .workers(self.workers)
            .shutdown_timeout(REQUESTS)
            .disable_signals();
        let node = self.cluster.node().clone();
        node.plan_workers(self.workers);
        Bound::new(node, builder, self.listen()).bind(binds)
    }

    fn listen<I, S, B>(self) -> Listen
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
        let parts = Parts {
            cluster: self.cluster,
            app: self.app,
            timeout: self.handshake_timeout,
        };
        Box::new(move |builder, name, listener| {
            let parts = parts.clone();
            match listener {
                Listener::Tcp(listener) => {
                    builder.listen(name, listener, move || accept(parts.clone()))
                }
                Listener::Unix(listener) => {
                    builder.listen_uds(name, listener, move || accept(parts.clone()))
                }
            }
        })
    }
}

/// What a worker thread builds its services from.
#[derive(Clone)]
struct Parts<F> {
    cluster: Cluster,
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
    let Parts {
        cluster,
        app,
        timeout,
    } = parts;
    let handshakes = app.clone();
    let ours = Ours::new(cluster.clone());
    let upgrade = fn_factory(move || {
        // On the worker thread: its registry is there before its first session.
        cluster.node().worker();
        let service = handshakes()
            .into_factory()
            .new_service(AppConfig::default());
        let cluster = cluster.clone();
        async move { Ok::<_, S::InitError>(TakeoverService::new(service.await?, cluster, timeout)) }
    });
    let plain = app()
        .into_factory()
        .map_err(|error| error.into().error_response());
    let http = HttpService::build()
        .keep_alive(KeepAlive::Timeout(KEEP_ALIVE))
        .client_request_timeout(timeout)
        .client_disconnect_timeout(timeout)
        .on_connect_ext(move |_, data| {
            data.insert(ours.clone());
        })
        .upgrade(upgrade)
        .finish(map_config(plain, |()| AppConfig::default()));
    fn_service(|io: T| async move {
        let peer: Option<SocketAddr> = io.peer();
        Ok((io, Protocol::Http1, peer))
    })
    .and_then(http)
}
