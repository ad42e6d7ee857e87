//! A real server for tests, on a free port and on its own thread.

use std::fmt;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use actix_http::body::MessageBody;
use actix_http::{Request, Response};
use actix_service::{IntoServiceFactory, ServiceFactory};
use actix_web::Error;
use actix_web::dev::AppConfig;
use fanfare_consumer::Cluster;
use fanfare_gateway::{Bind, Bound, Server};
use fanfare_node::Node;
use tokio::sync::oneshot;

use crate::answer::Answer;
use crate::connecting::Connecting;
use crate::unlimited;

/// A server on a free port of 127.0.0.1. When it is dropped, it drains: it closes its sessions with
/// 1001 and runs `disconnect` of their consumers before the drop returns.
///
/// It uses the real clock, so tests must not pause theirs.
///
/// ```no_run
/// use actix_web::{App, web};
/// use fanfare_testing::LiveServer;
///
/// let server = LiveServer::new(|| App::new().route("/", web::get().to(async || "hello")));
/// assert!(server.url("/").starts_with("http://127.0.0.1:"));
/// ```
pub struct LiveServer {
    address: SocketAddr,
    cluster: Cluster,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Options for a [`LiveServer`].
#[derive(Default)]
#[must_use = "nothing listens before `start`"]
pub struct LiveOptions {
    cluster: Option<Cluster>,
    workers: Option<usize>,
}

impl LiveOptions {
    /// Uses this cluster instead of a new memory cluster.
    pub fn cluster(mut self, cluster: Cluster) -> Self {
        self.cluster = Some(cluster);
        self
    }

    /// Uses this number of worker threads instead of one.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// When it cannot listen.
    pub fn start<F, I, S, B>(self, factory: F) -> LiveServer
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
        let cluster = self.cluster.map_or_else(unlimited::cluster, Ok);
        let cluster = cluster.unwrap_or_else(|error| panic!("no cluster can be made: {error}"));
        let server = Server::new(cluster.clone(), factory).workers(self.workers.unwrap_or(1));
        let (listening, listens) = mpsc::sync_channel(1);
        let (stop, stopped) = oneshot::channel();
        let node = cluster.node().clone();
        let thread = std::thread::Builder::new().name("live server".to_owned());
        let thread = thread.spawn(move || {
            actix_rt::System::new().block_on(async move {
                let bound = server.bind(Bind::Tcp(([127, 0, 0, 1], 0).into()));
                let bound = bound.unwrap_or_else(|error| panic!("{error}"));
                // The test may have given up already.
                let _nobody = listening.send(bound.addresses().to_vec());
                serve(bound, &node, stopped).await;
            });
        });
        let thread = thread.unwrap_or_else(|error| panic!("no thread can be made: {error}"));
        let address = match listens.recv().as_deref() {
            Ok([Bind::Tcp(address)]) => *address,
            _ => panic!("the server did not start: see what its thread says"),
        };
        LiveServer {
            address,
            cluster,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl LiveServer {
    /// Starts a server of this App on a new memory cluster, with one worker thread.
    ///
    /// # Panics
    /// When it cannot listen.
    pub fn new<F, I, S, B>(factory: F) -> Self
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
        Self::options().start(factory)
    }

    /// Options to start a server with other settings.
    pub fn options() -> LiveOptions {
        LiveOptions::default()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:49152/path`, for a path with its first slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// `ws://127.0.0.1:49152/path`, for a path with its first slash.
    pub fn ws_url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.address)
    }

    /// Its cluster.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Sends a handshake over the network for a path, without further headers.
    ///
    /// # Panics
    /// See [`Connecting::connect`].
    pub async fn connect(&self, path: &str) -> Answer {
        self.websocket(path).connect().await
    }

    /// A handshake over the network to which headers and subprotocols can be added. The client runs
    /// on the thread of the test, under an actix runtime.
    pub fn websocket(&self, path: &str) -> Connecting<'static> {
        Connecting::to(self.address, path)
    }

    /// Drains it and waits for its end.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for LiveServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        let Some(thread) = self.thread.take() else {
            return;
        };
        if thread.join().is_err() && !std::thread::panicking() {
            panic!("the live server panicked: see what its thread says");
        }
    }
}

/// Serves until it is to stop, and drains.
async fn serve(bound: Bound, node: &Node, stopped: oneshot::Receiver<()>) {
    let (handle, running) = bound.run();
    let running = actix_rt::spawn(running);
    // Ends with an error when the test's side is dropped, which means the same.
    let _stop = stopped.await;
    node.refuse_sessions();
    node.close_sessions(Duration::ZERO).await;
    handle.stop(false).await;
    match running.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => panic!("the listener failed: {error}"),
        Err(error) => panic!("the listener panicked: {error}"),
    }
}
