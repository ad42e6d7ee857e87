//! The HTTP side: API, health, metrics, pages, and the door to the WebSocket routes.

pub(crate) mod access;
mod api;
pub(crate) mod audit;
mod auth;
mod batch;
mod body;
mod guard;
mod guesses;
mod health;
pub(crate) mod hosts;
mod pages;
mod publish;
mod shared;
mod websocket;

use actix_web::dev::HttpServiceFactory;
use actix_web::guard as on;
use actix_web::http::header;
use actix_web::middleware::DefaultHeaders;
use actix_web::{HttpResponse, Resource, web};

pub(crate) use guard::catch_panic;
pub(crate) use shared::Shared;

use crate::routes::WorkerRoutes;
use fanfare_web::Refusal;

/// The whole App but its middleware. `routes` are this worker's.
pub(crate) fn configure(
    shared: web::Data<Shared>,
    routes: WorkerRoutes,
) -> impl FnOnce(&mut web::ServiceConfig) {
    move |app| {
        // Whoever asks for the address of a client finds the proxies here.
        let proxies = shared.settings.http.trusted_proxies.clone();
        app.app_data(web::Data::new(proxies))
            .app_data(shared)
            .configure(health::configure)
            .configure(pages::configure)
            .configure(api::configure)
            .configure(websocket::configure(routes));
    }
}

/// A resource that is only read; another method is told so.
fn readable(path: &str, route: actix_web::Route) -> Resource {
    let reads = on::Any(on::Get()).or(on::Head());
    web::resource(path)
        .route(route.guard(reads))
        .default_service(web::to(|| refuse_method("GET, HEAD")))
}

/// A resource that balancers ask: `option httpchk` of HAProxy sends OPTIONS, which is answered like
/// GET.
fn checked(path: &str, route: actix_web::Route) -> impl HttpServiceFactory + use<> {
    const ALLOW: &str = "GET, HEAD, OPTIONS";
    let reads = on::Any(on::Get()).or(on::Head()).or(on::Options());
    web::resource(path)
        .route(route.guard(reads))
        .default_service(web::to(|| refuse_method(ALLOW)))
        .wrap(DefaultHeaders::new().add((header::ALLOW, ALLOW)))
}

/// A resource that is only posted to; another method is told so.
fn postable(path: &str, route: actix_web::Route) -> Resource {
    web::resource(path)
        .route(route.guard(on::Post()))
        .default_service(web::to(|| refuse_method("POST")))
}

async fn refuse_method(allow: &'static str) -> Result<HttpResponse, Refusal> {
    Err(Refusal::method_not_allowed(allow))
}
