//! Liveness, readiness and metrics.

use std::time::Duration;

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::json;

use crate::{error, node};

#[tokio::test]
async fn a_node_on_the_memory_layer_is_live_and_ready_at_once() -> Result<()> {
    let node = node(&[]).await?;
    for (path, status) in [("/health/live", "live"), ("/health/ready", "ready")] {
        let answer = node.api().get(path).await?;
        ensure!(answer.status == 200, "{answer:?}");
        ensure!(answer.json()? == json!({ "status": status }), "{answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn balancers_may_ask_with_head_and_options() -> Result<()> {
    let node = node(&[]).await?;
    let asks = async |method: Method, path: &str| {
        let request = node.api().anonymous(method, path);
        node.api().send(request).await
    };
    for path in ["/health/live", "/health/ready"] {
        for method in [Method::OPTIONS, Method::HEAD, Method::GET] {
            let answer = asks(method.clone(), path).await?;
            ensure!(answer.status == 200, "{method} {path}: {answer:?}");
            ensure!(answer.header("allow") == Some("GET, HEAD, OPTIONS"));
        }
        let answer = asks(Method::POST, path).await?;
        error(&answer, 405, "method_not_allowed")?;
        ensure!(answer.header("allow") == Some("GET, HEAD, OPTIONS"));
    }
    Ok(())
}

#[tokio::test]
async fn without_its_redis_a_node_is_live_not_ready_and_publishes_nothing() -> Result<()> {
    // Nothing listens on port 1.
    let node = node(&[
        "layer.redis.hosts=[\"redis://127.0.0.1:1\"]",
        "layer.join_ms=200",
    ])
    .await?;
    ensure!(node.api().status("/health/live").await == Some(200));
    let answer = node.api().get("/health/ready").await?;
    error(&answer, 503, "layer_connecting")?;
    let event = json!({ "type": "a" });
    let answer = node.api().post("/api/v1/broadcast", &event).await?;
    error(&answer, 503, "layer_down")?;
    ensure!(answer.header("retry-after").is_some(), "{answer:?}");
    let batch = json!({ "events": [{ "all": true, "event": event }] });
    let answer = node.api().post("/api/v1/batch", &batch).await?;
    let result = answer.json()?["results"][0].clone();
    crate::shape(&result, 503, (503, "layer_down"))?;
    let mut raw = fanfare_rig::RawConnection::open(node.address()).await?;
    let request = raw.handshake("/ws/chat/lobby/", "");
    raw.write(request.as_bytes()).await?;
    let response = raw.response().await?;
    crate::shape(
        &serde_json::from_str(&response.body)?,
        response.status,
        (503, "layer_down"),
    )?;
    ensure!(response.header("retry-after").is_some(), "{response:?}");
    Ok(())
}

#[tokio::test]
async fn metrics_tell_the_build_the_process_and_what_was_answered() -> Result<()> {
    let node = node(&[]).await?;
    let answer = node.api().get("/metrics").await?;
    ensure!(answer.status == 200);
    let kind = answer.header("content-type").unwrap_or_default();
    ensure!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    let version = env!("CARGO_PKG_VERSION");
    ensure!(
        node.metric("fanfare_build_info", &[("version", version)])
            .await?
            == 1.0
    );
    ensure!(node.metric("process_resident_memory_bytes", &[]).await? > 1e6);
    ensure!(node.metric("process_open_fds", &[]).await? >= 3.0);
    node.api().get("/nothing").await?;
    let limit = Duration::from_secs(5);
    let labels = [("status", "404")];
    node.metric_when("fanfare_http_requests_total", &labels, limit, |count| {
        count == 1.0
    })
    .await?;
    Ok(())
}
