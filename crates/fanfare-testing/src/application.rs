//! An application under test: its App, its node, and this thread.

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
use crate::connecting::Connecting;
use crate::listener::Listener;
use crate::settled::settled;

/// An actix-web App on the test's thread, with a cluster of one node.
pub struct Application(App);

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
        Self(App {
            serve: Rc::new(serve),
            cluster,
        })
    }

    /// The cluster: what is published here reaches the sessions.
    pub fn cluster(&self) -> &Cluster {
        &self.0.cluster
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

    /// Hears what is published to a group from now on.
    ///
    /// # Panics
    /// When the group's name is not legal.
    pub async fn listen(&self, group: &str) -> Listener {
        Listener::join(self.0.cluster.node(), group).await
    }

    /// Waits until nothing on this thread can run without time passing; see [`settled`].
    pub async fn settled(&self) {
        settled().await;
    }

    /// Shuts down as a server does: no new session, and those that are open are closed with 1001.
    /// Answers how many did not end in time.
    pub async fn shut_down(&self) -> usize {
        let node = self.0.cluster.node();
        node.refuse_sessions();
        node.close_sessions(Duration::ZERO).await
    }
}
