//! Handshakes while Redis comes and goes.

use std::time::Duration;

use anyhow::{Result, ensure};
use fanfare_rig::RedisServer;

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
