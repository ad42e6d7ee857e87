//! An application under test: its App, its node, and this thread.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use actix_http::body::{BoxBody, MessageBody, to_bytes};
use actix_http::{HttpMessage as _, Request};
use actix_service::{IntoServiceFactory, Service as _, ServiceFactory};
use actix_web::Error;
use actix_web::dev::AppConfig;
use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use bytes::{Bytes, BytesMut};
use fanfare_node::{Link, Socket};
use futures_util::future::LocalBoxFuture;
use tokio::net::UnixStream;

use super::answer::{Answer, Response};
use super::connecting::Connecting;
use super::listener::Listener;
use super::websocket::WebSocket;
use super::{head, pump};
use crate::cluster::Cluster;
use crate::handshake::{Offer, Ours, Takeover};

/// What stands in front of a session's first frame.
const HEAD: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";
/// Turns of the runtime in which everything comes to rest that does not wait for time.
const TURNS: usize = 256;

/// An actix-web App on the test's thread, with a cluster of one node.
pub struct Application {
    serve: Rc<Serve>,
    cluster: Cluster,
}

type Serve = dyn Fn(Request) -> LocalBoxFuture<'static, actix_http::Response<BoxBody>>;

/// Lets everything on this thread run that can, without time passing: frames arrive, events are
/// delivered, handlers run until they wait for a timer or for another thread.
pub async fn settled() {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}

impl Application {
    /// The application of this factory, with a memory cluster of its own.
    ///
    /// # Panics
    /// When the App cannot be built, and outside of an actix runtime.
    pub async fn new<I, S, B>(factory: impl FnOnce() -> I) -> Self
    where
        I: IntoServiceFactory<S, Request>,
        S: ServiceFactory<Request, Config = AppConfig> + 'static,
        S::Error: Into<Error>,
        S::InitError: fmt::Debug,
        S::Response: Into<actix_http::Response<B>>,
        S::Service: 'static,
        B: MessageBody + 'static,
    {
        match Cluster::memory() {
            Ok(cluster) => Self::with(cluster, factory).await,
            Err(error) => panic!("no cluster can be made: {error}"),
        }
    }

    /// The application of this factory on a cluster: one with other limits, or one that the
    /// factory shares.
    ///
    /// # Panics
    /// When the App cannot be built, and outside of an actix runtime.
    pub async fn with<I, S, B>(cluster: Cluster, factory: impl FnOnce() -> I) -> Self
    where
        I: IntoServiceFactory<S, Request>,
        S: ServiceFactory<Request, Config = AppConfig> + 'static,
        S::Error: Into<Error>,
        S::InitError: fmt::Debug,
        S::Response: Into<actix_http::Response<B>>,
        S::Service: 'static,
        B: MessageBody + 'static,
    {
        // The thread's registry is there before its first session.
        cluster.node().worker();
        let service = factory().into_factory().new_service(AppConfig::default());
        let service = match service.await {
            Ok(service) => Rc::new(service),
            Err(error) => panic!("the App cannot be built: {error:?}"),
        };
        let serve = move |request| -> LocalBoxFuture<'static, _> {
            let service = Rc::clone(&service);
            Box::pin(async move {
                match service.call(request).await {
                    Ok(response) => response.into().map_into_boxed_body(),
                    Err(error) => {
                        let error: Error = error.into();
                        actix_http::Response::from(error.error_response()).map_into_boxed_body()
                    }
                }
            })
        };
        Self {
            serve: Rc::new(serve),
            cluster,
        }
    }

    /// The cluster: what is published here reaches the sessions.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// A handshake with nothing but the path, which may have a query.
    ///
    /// # Panics
    /// See [`Connecting::connect`].
    pub async fn connect(&self, path: &str) -> Answer {
        self.websocket(path).connect().await
    }

    /// A handshake that can say more: headers, subprotocols, the client's address.
    pub fn websocket(&self, path: &str) -> Connecting<'_> {
        Connecting::new(self, path)
    }

    /// The response to a plain GET.
    ///
    /// # Panics
    /// When the handler panics.
    pub async fn get(&self, path: &str) -> Response {
        self.request(TestRequest::get().uri(path)).await
    }

    /// The response to any plain request.
    ///
    /// # Panics
    /// When the handler panics.
    pub async fn request(&self, request: TestRequest) -> Response {
        let request = request.to_request();
        let ours = Ours::new(self.cluster.clone());
        request.extensions_mut().insert(ours);
        whole((self.serve)(request).await).await
    }

    /// Hears what is published to a group from now on.
    ///
    /// # Panics
    /// When the group's name is not legal.
    pub async fn listen(&self, group: &str) -> Listener {
        Listener::join(self.cluster.node(), group).await
    }

    /// Waits until nothing on this thread can run without time passing; see [`settled`].
    pub async fn settled(&self) {
        settled().await;
    }

    /// Shuts down as a server does: no new session, and those that are open are closed with 1001.
    /// Answers how many did not end in time.
    pub async fn shut_down(&self) -> usize {
        let node = self.cluster.node();
        node.refuse_sessions();
        node.close_sessions(Duration::ZERO).await
    }

    /// As the gateway does it: the App answers 101 with a ticket, which is opened on the socket.
    pub(super) async fn shake_hands(&self, request: Request) -> Answer {
        let (server, mut client) = match UnixStream::pair() {
            Ok(pair) => pair,
            Err(error) => panic!("no socket pair can be made: {error}"),
        };
        let offer = Offer::new(Link::of(&server), self.cluster.clone());
        request.extensions_mut().insert(offer);
        let mut response = (self.serve)(request).await;
        let ticket = Takeover::remove(&mut response.extensions_mut());
        match ticket {
            Some(ticket) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                let channel = ticket.channel().as_str().to_owned();
                let head = Bytes::from_static(HEAD);
                ticket.open(Socket::Unix(server), head, Bytes::new());
                let mut read = BytesMut::new();
                let _known = head::read(&mut client, &mut read).await;
                let headers = response.headers().clone();
                let sides = pump::start(Box::new(client), read);
                Answer::Accepted(WebSocket::new(sides, channel, headers))
            }
            _ => Answer::Rejected(whole(response).await),
        }
    }
}

async fn whole(response: actix_http::Response<BoxBody>) -> Response {
    let (status, headers) = (response.status(), response.headers().clone());
    match to_bytes(response.into_body()).await {
        Ok(body) => Response {
            status,
            headers,
            body,
        },
        Err(error) => panic!("the body of the response failed: {error}"),
    }
}
