//! One App per worker thread and listener, for plain requests and for handshakes.

use std::rc::Rc;

use actix_http::Request;
use actix_service::{IntoServiceFactory, ServiceFactory};
use actix_web::dev::AppConfig;
use tokio::sync::OnceCell;

/// An App that is built when it is first asked for. actix-http wants one service for plain
/// requests and another one for upgrades; both are this App.
pub(crate) struct AppOnce<F, V> {
    factory: F,
    service: OnceCell<Rc<V>>,
}

impl<F, V> AppOnce<F, V> {
    pub(crate) fn new(factory: F) -> Self {
        Self {
            factory,
            service: OnceCell::new(),
        }
    }

    pub(crate) async fn service<I, S>(&self) -> Result<Rc<V>, S::InitError>
    where
        F: Fn() -> I,
        I: IntoServiceFactory<S, Request>,
        S: ServiceFactory<Request, Config = AppConfig, Service = V>,
    {
        let build = || (self.factory)().into_factory();
        let service = self.service.get_or_try_init(|| async {
            let service = build().new_service(AppConfig::default()).await?;
            Ok(Rc::new(service))
        });
        service.await.cloned()
    }
}
