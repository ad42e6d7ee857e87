//! The HTTP side: API, health, metrics, pages, and the door to the WebSocket routes.

mod api;
mod auth;
mod batch;
pub(crate) mod error;
pub(crate) mod event;
mod guard;
mod health;
mod pages;
mod publish;
mod shared;

use std::rc::Rc;

use actix_web::guard as on;
use actix_web::{HttpRequest, HttpResponse, Resource, Route, web};

pub(crate) use guard::catch_panic;
pub(crate) use shared::Shared;

use crate::routes::{self, WorkerRoutes};
use error::ApiError;

/// The whole App but its middleware. `routes` are this worker's.
pub(crate) fn configure(
    shared: web::Data<Shared>,
    routes: WorkerRoutes,
) -> impl FnOnce(&mut web::ServiceConfig) {
    move |app| {
        app.app_data(shared)
            .app_data(Rc::new(routes))
            .configure(health::configure)
            .configure(pages::configure)
            .configure(api::configure)
            .default_service(web::to(elsewhere));
    }
}

/// Everything that is no resource of the server's own: the WebSocket routes, or nothing.
async fn elsewhere(
    request: HttpRequest,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, ApiError> {
    let routes = request
        .app_data::<Rc<WorkerRoutes>>()
        .ok_or_else(ApiError::internal)?;
    routes::open(&request, &shared, routes).await
}

/// A resource that is only read; another method is told so.
fn readable(path: &str, route: Route) -> Resource {
    let reads = on::Any(on::Get()).or(on::Head());
    web::resource(path)
        .route(route.guard(reads))
        .default_service(web::to(|| refuse_method("GET, HEAD")))
}

/// A resource that is only posted to; another method is told so.
fn postable(path: &str, route: Route) -> Resource {
    web::resource(path)
        .route(route.guard(on::Post()))
        .default_service(web::to(|| refuse_method("POST")))
}

async fn refuse_method(allow: &'static str) -> Result<HttpResponse, ApiError> {
    Err(ApiError::method_not_allowed(allow))
}
