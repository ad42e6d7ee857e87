//! The server: actix-server, actix-http and an actix-web App, with the takeover in place.

use std::any::Any;
use std::fmt;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use actix_http::body::MessageBody;
use actix_http::{Extensions, KeepAlive, Request, Response};
use actix_server::ServerBuilder;
use actix_service::{IntoServiceFactory, ServiceFactory};
use actix_web::Error;
use actix_web::dev::AppConfig;
use fanfare_web::Host;

use crate::accept::{ConnectionOptions, Parts, accept};
use crate::address::IntoBinds;
use crate::bind::{BindError, Listener};
use crate::connections::Crowd;
use crate::head_limit::HeadLimits;
use crate::listeners::Listeners;
use crate::metrics::ConnectionMetrics;
use crate::serve::Bound;

/// The highest number of worker threads: a channel name has room for no more.
const MOST_WORKERS: usize = 64;

/// Serves an actix-web App whose WebSocket routes hand their sockets to the node of a cluster.
///
/// The builder has the methods of `actix_web::HttpServer`, with the same names. As there, the App
/// is built once per worker thread and listener, so state that threads share comes from outside of
/// the factory. The server speaks HTTP/1.1 without TLS.
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
    host: Host,
    app: F,
    builder: ServerBuilder,
    workers: usize,
    backlog: u32,
    socket_mode: Option<u32>,
    connections: ConnectionOptions,
    http_connections: usize,
    metrics: Option<ConnectionMetrics>,
}

impl<F> Server<F> {
    /// A server of `app` with a worker thread for each core. Its sessions belong to the node of a
    /// cluster. Handlers get the cluster as an extractor. `host` is a cluster, a reference to one,
    /// or a node.
    pub fn new(host: impl Into<Host>, app: F) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            host: host.into(),
            app,
            builder: ServerBuilder::new().shutdown_timeout(2).disable_signals(),
            workers: cores.min(MOST_WORKERS),
            backlog: 4096,
            socket_mode: None,
            connections: ConnectionOptions {
                keep_alive: KeepAlive::Timeout(Duration::from_secs(75)),
                client_request_timeout: Duration::from_secs(5),
                client_disconnect_timeout: Duration::from_secs(1),
                handshake_timeout: Duration::from_secs(5),
                head: HeadLimits::default(),
                write_timeout: Duration::from_secs(10),
                on_connect: None,
            },
            http_connections: 4096,
            metrics: None,
        }
    }

    /// The number of worker threads, 1 to 64. By default one per core. Any other number is
    /// [`BindError::Workers`] when the server listens.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// How long an HTTP connection that nobody uses stays open: a `Duration`, or a [`KeepAlive`]. By
    /// default 75 seconds, longer than the 60 seconds after which most balancers drop an idle
    /// connection. The server closes it up to a second later, with a 408 for a request that crosses
    /// the close.
    #[must_use]
    pub fn keep_alive(mut self, keep_alive: impl Into<KeepAlive>) -> Self {
        self.connections.keep_alive = keep_alive.into();
        self
    }

    /// How long a client may take to send the head of its first request. After that it gets 408.
    /// Zero means no limit. By default 5 seconds.
    #[must_use]
    pub fn client_request_timeout(mut self, timeout: Duration) -> Self {
        self.connections.client_request_timeout = timeout;
        self
    }

    /// How long the end of an HTTP connection may take. Zero means no limit. By default one second.
    #[must_use]
    pub fn client_disconnect_timeout(mut self, timeout: Duration) -> Self {
        self.connections.client_disconnect_timeout = timeout;
        self
    }

    /// How long the App may take to answer a handshake, and how long a refused client may take to
    /// read the answer. By default 5 seconds each.
    #[must_use]
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.connections.handshake_timeout = timeout;
        self
    }

    /// The most bytes of a request line, without its end. A longer one gets 414 before the App sees
    /// it. By default 8,192. actix-http takes no URI over 65,534 bytes.
    #[must_use]
    pub fn line_bytes(mut self, bytes: usize) -> Self {
        self.connections.head.line = bytes;
        self
    }

    /// The most bytes of a request's head, the request line included. A longer one gets 431 before
    /// the App sees it. By default 32,768. actix-http takes no head over 131,072 bytes.
    #[must_use]
    pub fn head_bytes(mut self, bytes: usize) -> Self {
        self.connections.head.head = bytes;
        self
    }

    /// How long a connection may make no progress with a response, because the client does not read
    /// it. After that it is closed. Zero means no limit. By default 10 seconds.
    #[must_use]
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.connections.write_timeout = timeout;
        self
    }

    /// How many connections that are neither sessions nor handshakes the server has at once. One more
    /// takes the place of the one that has made no progress for the longest time; it gets 503 while
    /// there is a request in work on each. Zero means no limit. By default 4096.
    #[must_use]
    pub fn http_connections(mut self, connections: usize) -> Self {
        self.http_connections = connections;
        self
    }

    /// Counts the connections.
    #[must_use]
    pub fn metrics(mut self, metrics: ConnectionMetrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// How many HTTP connections a worker thread has at once. Further connections wait to be
    /// accepted. Sessions do not count, only their handshakes; the limits of the node are for
    /// them. By default 25,600.
    #[must_use]
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.builder = self.builder.max_concurrent_connections(connections);
        self
    }

    /// How many connections may wait to be accepted, on each address of [`bind`](Self::bind). By
    /// default 4096, because clients that reconnect arrive all at once. The system may lower it
    /// (`net.core.somaxconn`).
    #[must_use]
    pub fn backlog(mut self, backlog: u32) -> Self {
        self.backlog = backlog;
        self
    }

    /// How many seconds running requests may take after the server has stopped. By default 2,
    /// because the drain has closed the sessions by then.
    #[must_use]
    pub fn shutdown_timeout(mut self, seconds: u64) -> Self {
        self.builder = self.builder.shutdown_timeout(seconds);
        self
    }

    /// The highest number of threads that `web::block` uses for each worker thread. By default 512
    /// divided by the number of cores.
    #[must_use]
    pub fn worker_max_blocking_threads(mut self, threads: usize) -> Self {
        self.builder = self.builder.worker_max_blocking_threads(threads);
        self
    }

    /// The mode of the Unix sockets that [`bind`](Self::bind) makes, such as `0o660`. By default the
    /// umask of the process decides.
    #[must_use]
    pub fn socket_mode(mut self, mode: u32) -> Self {
        self.socket_mode = Some(mode);
        self
    }

    /// Sets a function that is called once for each connection, before its first request, with the
    /// `actix_web::rt::net::TcpStream` or `UnixStream` and the connection's data. A handler reads
    /// that data with `HttpRequest::conn_data`. Handshakes are requests too.
    #[must_use]
    pub fn on_connect<C>(mut self, hook: C) -> Self
    where
        C: Fn(&dyn Any, &mut Extensions) + Send + Sync + 'static,
    {
        self.connections.on_connect = Some(Arc::new(hook));
        self
    }

    /// Listens on an address such as `"127.0.0.1:8000"` or `"unix:/run/app.sock"`, or on any
    /// [`IntoBinds`]. It listens on all given addresses or on none.
    ///
    /// # Errors
    /// [`BindError`] for the first address on which the server cannot listen.
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
        self.unbound()?.bind(binds)
    }

    /// Accepts connections from a TCP listener that the program has created, for example with
    /// socket activation.
    ///
    /// # Errors
    /// [`BindError`] when the system refuses it.
    pub fn listen<I, S, B>(self, listener: TcpListener) -> Result<Bound, BindError>
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
        self.unbound()?.listen(listener)
    }

    /// Accepts connections from a Unix listener that the program has created.
    ///
    /// # Errors
    /// [`BindError`] when the system refuses it.
    pub fn listen_uds<I, S, B>(self, listener: UnixListener) -> Result<Bound, BindError>
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
        self.unbound()?.listen_uds(listener)
    }

    fn unbound<I, S, B>(self) -> Result<Bound, BindError>
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
        if !(1..=MOST_WORKERS).contains(&self.workers) {
            return Err(BindError::Workers {
                workers: self.workers,
                most: MOST_WORKERS,
            });
        }
        let host = self.host.clone();
        host.node().plan_workers(self.workers);
        let parts = Parts {
            host: self.host,
            app: self.app,
            connections: self.connections,
            crowd: Crowd::new(self.http_connections, self.metrics),
        };
        let add = move |builder: ServerBuilder, name, listener| {
            let parts = parts.clone();
            match listener {
                Listener::Tcp(listener) => {
                    builder.listen(name, listener, move || accept(parts.clone()))
                }
                Listener::Unix(listener) => {
                    builder.listen_uds(name, listener, move || accept(parts.clone()))
                }
            }
        };
        let builder = self.builder.workers(self.workers);
        let listeners = Listeners::new(builder, self.backlog, self.socket_mode, Box::new(add));
        Ok(Bound::new(host, listeners))
    }
}
