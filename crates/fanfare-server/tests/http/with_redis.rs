//! Handshakes while Redis comes and goes.

use std::time::Duration;

use anyhow::{Result, ensure};
use fanfare_rig::{RedisServer, path_segment};
use serde_json::json;

use crate::handshake::{expect, refused};
use crate::node;

#[tokio::test]
async fn nobody_joins_while_redis_is_lost_not_even_a_group_that_has_members() -> Result<()> {
    const PATIENCE: Duration = Duration::from_secs(10);
    let mut redis = RedisServer::start()?;
    let hosts = format!("layer.redis.hosts={}", redis.url());
    let node = node(&[&hosts, "layer.join_ms=200"]).await?;
    node.ready_is(200, PATIENCE).await?;
    let _member = node.connect("/ws/chat/lobby/").await?;
    redis.kill();
    let lost = node.metric_when("fanfare_layer_up", &[], PATIENCE, |up| up == 0.0);
    lost.await?;
    for path in ["/ws/chat/lobby/", "/ws/echo"] {
        let response = refused(&node, path, "").await?;
        expect(&response, 503, "layer_down")?;
        ensure!(response.header("retry-after").is_some(), "{response:?}");
    }
    redis.restart()?;
    let back = node.metric_when("fanfare_layer_up", &[], PATIENCE, |up| up == 1.0);
    back.await?;
    node.connect("/ws/chat/lobby/").await?;
    Ok(())
}

#[tokio::test]
async fn a_prefix_with_quotes_and_backslashes_is_the_same_in_the_welcome_and_in_the_address()
-> Result<()> {
    let redis = RedisServer::start()?;
    let hosts = format!("layer.redis.hosts={}", redis.url());
    for prefix in [r#"a"b"#, r"a\nb", r#"\"{}<&>"#, r"a\"] {
        let node = node(&[&hosts, &format!("layer.prefix={prefix}")]).await?;
        let mut socket = node.connect("/ws/notifications").await?;
        let channel = socket.channel().to_owned();
        ensure!(
            channel.starts_with(&format!("{prefix}specific.")),
            "{channel}"
        );
        let welcome = socket.json().await?;
        ensure!(
            welcome == json!({"type": "welcome", "channel": channel}),
            "{welcome}"
        );
        let event = json!({"type": "note", "message": "for you"});
        let path = format!("/channels/{}/events", path_segment(&channel));
        node.api().publish(&path, &event).await?;
        ensure!(socket.json().await? == event);
        let others = format!("/broadcast?exclude={}", path_segment(&channel));
        node.api().publish(&others, &event).await?;
        node.api()
            .publish_group("notifications", &json!({"type": "last"}))
            .await?;
        ensure!(socket.json().await? == json!({"type": "last"}));
    }
    Ok(())
}

#[tokio::test]
async fn a_publish_and_a_batch_that_redis_does_not_answer_end_in_their_time() -> Result<()> {
    let redis = RedisServer::start()?;
    let hosts = format!("layer.redis.hosts={}", redis.url());
    let node = node(&[&hosts, "limits.publish_ms=200"]).await?;
    node.ready_is(200, Duration::from_secs(10)).await?;
    redis.pause()?;
    let event = json!({"type": "note"});
    let answer = node.api().post("/api/v1/groups/a/events", &event).await?;
    ensure!(answer.status == 503 && answer.error_code() == "layer_unanswered");
    ensure!(answer.header("retry-after").is_some());
    let told = answer.json()?["error"]["message"].to_string();
    ensure!(told.contains("longer than limits.publish_ms"), "{told}");
    let events = vec![json!({"group": "a", "event": event}); 20];
    let batch = json!({ "events": events });
    let answer = node.api().post("/api/v1/batch", &batch).await?;
    let results = answer.json()?["results"].as_array().cloned();
    let results = results.unwrap_or_default();
    ensure!(results.len() == 20, "{answer:?}");
    ensure!(results.iter().all(|result| result["status"] == 503));
    redis.resume()?;
    Ok(())
}
