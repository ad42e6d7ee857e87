//! Is the process alive, does it want traffic, and what does it count?

use actix_web::{HttpResponse, web};
use fanfare_consumer::health;
use prometheus::{Encoder as _, TextEncoder};
use serde_json::json;

use super::{Shared, checked, readable};
use fanfare_web::Refusal;

pub(crate) fn configure(app: &mut web::ServiceConfig) {
    app.service(checked("/health/live", web::to(live)))
        .service(checked("/health/ready", web::to(ready)))
        .service(readable("/metrics", web::to(metrics)));
}

async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "live" }))
}

async fn ready(shared: web::Data<Shared>) -> Result<HttpResponse, Refusal> {
    let grace = shared.settings.health.layer_grace;
    let status = shared.node.status();
    let obstacle = health::obstacle(shared.is_draining(), &status, grace);
    match obstacle.or_else(|| health::shortage(shared.node.memory())) {
        None => Ok(HttpResponse::Ok().json(json!({ "status": "ready" }))),
        Some(refusal) => Err(refusal),
    }
}

async fn metrics(shared: web::Data<Shared>) -> Result<HttpResponse, Refusal> {
    let encoder = TextEncoder::new();
    let mut text = Vec::new();
    if let Err(error) = encoder.encode(&shared.registry.gather(), &mut text) {
        tracing::error!(%error, "the metrics cannot be written");
        return Err(Refusal::internal());
    }
    Ok(HttpResponse::Ok()
        .content_type(encoder.format_type())
        .body(text))
}
