//! An application under test, on the thread of the test.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use actix_http::Request;
use actix_http::body::MessageBody;
use actix_service::{IntoServiceFactory, Service as _, ServiceFactory};
use actix_web::Error;
use actix_web::dev::AppConfig;
use actix_web::test::TestRequest;
use fanfare_consumer::Cluster;
use futures_util::future::LocalBoxFuture;

use crate::answer::{Answer, Response};
use crate::app::App;
use crate::browser::Browser;
use crate::connecting::Connecting;
use crate::listener::Listener;
use crate::settled::settled;
use crate::unlimited;

/// An actix-web App on the test's thread, with a cluster of one node.
pub struct Application(App);

impl Application {
    /// An application from this factory, with a new memory cluster.
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
        match unlimited::cluster() {
            Ok(cluster) => Self::with(cluster, factory).await,
            Err(error) => panic!("no cluster can be made: {error}"),
        }
    }

    /// An application from this factory on an existing cluster, for example one with other limits.
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
        Self(App {
            serve: Rc::new(serve),
            cluster,
        })
    }

    /// The cluster: what is published here reaches the sessions.
    pub fn cluster(&self) -> &Cluster {
        &self.0.cluster
    }

    /// Sends a handshake for a path, which may have a query. It has no further headers.
    ///
    /// # Panics
    /// See [`Connecting::connect`].
    pub async fn connect(&self, path: &str) -> Answer {
        self.websocket(path).connect().await
    }

    /// A handshake to which headers, subprotocols or a client's address can be added.
    pub fn websocket(&self, path: &str) -> Connecting<'_> {
        Connecting::new(&self.0, path)
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
        self.0.plain(request.to_request()).await
    }

    /// A client that keeps cookies from one request to the next.
    pub fn browser(&self) -> Browser<'_> {
        Browser::new(&self.0)
    }

    /// Receives the events that are published to a group from now on.
    ///
    /// # Panics
    /// When the group's name is not legal.
    pub async fn listen(&self, group: &str) -> Listener {
        Listener::join(self.0.cluster.node(), group).await
    }

    /// Waits until no task on this thread can run without time passing: see [`settled`].
    pub async fn settled(&self) {
        settled().await;
    }

    /// Shuts down like a server: it refuses new sessions and closes the open ones with 1001.
    /// Returns how many did not end in time.
    pub async fn shut_down(&self) -> usize {
        let node = self.0.cluster.node();
        node.refuse_sessions();
        node.close_sessions(Duration::ZERO).await
    }
}
