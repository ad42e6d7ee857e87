//! HTTP handlers for liveness, readiness and metrics.

use std::time::Duration;

use actix_web::{Error, HttpResponse, guard, web};
use fanfare_layer::{MemoryBudget, State, Status};
use fanfare_web::{Code, Refusal};
use prometheus::{Encoder as _, TextEncoder};
use serde_json::json;

use crate::cluster::Cluster;

/// How long the layer may be lost before a node is not ready: a short loss must not take all nodes
/// out of a balancer at once.
const LAYER_GRACE: Duration = Duration::from_secs(10);

/// Adds [`live`] at `/health/live`, [`ready`] at `/health/ready` and [`metrics`] at `/metrics`. The
/// first two answer GET, HEAD and OPTIONS.
///
/// ```
/// use actix_web::App;
/// use fanfare_consumer::health;
///
/// let app = || App::new().configure(health::routes);
/// # let _ = app();
/// ```
pub fn routes(app: &mut web::ServiceConfig) {
    // Balancers check with OPTIONS or HEAD too.
    let asked = || {
        guard::Any(guard::Get())
            .or(guard::Head())
            .or(guard::Options())
    };
    app.service(web::resource("/health/live").route(web::route().guard(asked()).to(live)))
        .service(web::resource("/health/ready").route(web::route().guard(asked()).to(ready)))
        .route("/metrics", web::get().to(metrics));
}

/// Answers 200 while the process runs.
pub async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "live" }))
}

/// Answers 200 if the node should get traffic. Answers 503 until the layer has answered for the
/// first time, after the layer has been unreachable for ten seconds, during a drain, and while the node
/// is short of memory.
///
/// # Errors
/// The 503, with the JSON body of all errors.
pub async fn ready(cluster: Cluster) -> Result<HttpResponse, Error> {
    let node = cluster.node();
    let status = node.status();
    match obstacle(cluster.is_draining(), &status, LAYER_GRACE).or_else(|| shortage(node.memory()))
    {
        None => Ok(HttpResponse::Ok().json(json!({ "status": "ready" }))),
        Some(refusal) => Err(refusal.into()),
    }
}

/// The metrics of the cluster's registry, in the text format of Prometheus.
///
/// # Errors
/// 500 if the metrics cannot be written. That is logged.
pub async fn metrics(cluster: Cluster) -> Result<HttpResponse, Error> {
    let encoder = TextEncoder::new();
    let mut text = Vec::new();
    if let Err(error) = encoder.encode(&cluster.registry().gather(), &mut text) {
        tracing::error!(%error, "the metrics cannot be written");
        return Err(Refusal::internal().into());
    }
    let mut response = HttpResponse::Ok();
    Ok(response.content_type(encoder.format_type()).body(text))
}

/// Why a node should get no traffic, if there is a reason. A layer that has been down for less than
/// `grace` is none. The message says why the layer does not answer, as far as that is known.
pub fn obstacle(draining: bool, layer: &Status, grace: Duration) -> Option<Refusal> {
    let (code, message) = match layer.state {
        _ if draining => return Some(Refusal::new(Code::Draining, "the node is shutting down")),
        State::Connecting => (Code::LayerConnecting, "the layer has not answered yet"),
        State::Down if layer.since.elapsed() >= grace => {
            (Code::LayerDown, "the layer is unreachable")
        }
        State::Down | State::Up => return None,
    };
    Some(match &layer.reason {
        None => Refusal::new(code, message),
        Some(reason) => Refusal::new(code, format!("{message}: {reason}")),
    })
}

/// Why a node that is short of memory should get no traffic.
pub fn shortage(memory: &MemoryBudget) -> Option<Refusal> {
    memory.is_short().then(|| {
        let (used, limit) = (memory.used(), memory.limit());
        let message = format!("the node is short of memory: {used} of {limit} bytes wait");
        Refusal::new(Code::NoRoom, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_ready_unless_draining_not_yet_connected_or_long_disconnected() {
        let refusal = |draining, state, grace| obstacle(draining, &Status::new(state), grace);
        let code = |draining, state, grace| refusal(draining, state, grace).map(|it| it.code());
        let long = Duration::from_secs(3600);
        assert_eq!(code(false, State::Up, long), None);
        assert_eq!(code(false, State::Down, long), None);
        let down = code(false, State::Down, Duration::ZERO);
        assert_eq!(down, Some(Code::LayerDown));
        let connecting = code(false, State::Connecting, long);
        assert_eq!(connecting, Some(Code::LayerConnecting));
        assert_eq!(code(true, State::Up, long), Some(Code::Draining));
    }

    #[test]
    fn the_message_says_why_the_layer_does_not_answer() {
        let mut status = Status::new(State::Connecting);
        status.reason = Some("Connection refused".into());
        let refusal = obstacle(false, &status, LAYER_GRACE).expect("an obstacle");
        let message = "the layer has not answered yet: Connection refused";
        assert!(refusal.to_string().contains(message), "{refusal}");
    }
}
