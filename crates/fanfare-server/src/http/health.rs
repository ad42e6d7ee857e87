//! Is the process alive, does it want traffic, and what does it count?

use std::time::Duration;

use actix_web::{HttpResponse, web};
use fanfare_layer::{State, Status};
use prometheus::{Encoder as _, TextEncoder};
use serde_json::json;

use super::{Shared, readable};
use fanfare_web::{Code, Refusal};

pub(crate) fn configure(app: &mut web::ServiceConfig) {
    app.service(readable("/health/live", web::to(live)))
        .service(readable("/health/ready", web::to(ready)))
        .service(readable("/metrics", web::to(metrics)));
}

async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "live" }))
}

async fn ready(shared: web::Data<Shared>) -> Result<HttpResponse, Refusal> {
    let grace = shared.settings.health.layer_grace;
    match obstacle(shared.is_draining(), shared.node.status(), grace) {
        None => Ok(HttpResponse::Ok().json(json!({ "status": "ready" }))),
        Some((code, message)) => Err(Refusal::new(code, message)),
    }
}

/// Why the node wants no traffic. A layer that is down for less than `grace` is no reason: a blip
/// must not take every node out at once.
fn obstacle(draining: bool, layer: Status, grace: Duration) -> Option<(Code, &'static str)> {
    match layer.state {
        _ if draining => Some((Code::Draining, "the node is shutting down")),
        State::Connecting => Some((Code::LayerConnecting, "the layer has not answered yet")),
        State::Down if layer.since.elapsed() >= grace => {
            Some((Code::LayerDown, "the layer is unreachable"))
        }
        State::Down | State::Up => None,
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

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_node_is_ready_unless_draining_not_yet_connected_or_long_disconnected() {
        let now = Instant::now();
        let code = |draining, state, grace| {
            let status = Status { state, since: now };
            obstacle(draining, status, grace).map(|(code, _)| code)
        };
        let long = Duration::from_secs(3600);
        assert_eq!(code(false, State::Up, long), None);
        assert_eq!(code(false, State::Down, long), None);
        assert_eq!(
            code(false, State::Down, Duration::ZERO),
            Some(Code::LayerDown)
        );
        assert_eq!(
            code(false, State::Connecting, long),
            Some(Code::LayerConnecting)
        );
        assert_eq!(code(true, State::Up, long), Some(Code::Draining));
    }
}
