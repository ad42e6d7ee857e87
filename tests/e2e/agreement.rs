//! Options that both sides must agree on, away from their defaults.

use anyhow::Result;
use fanfare_rig::{ClusterOptions, PythonLayer, PythonOptions, RedisServer};
use serde_json::json;

use crate::support::{GROUP_ROUTE, said, say};

#[tokio::test]
async fn another_prefix_lifetime_and_random_prefix_are_spoken_on_both_sides() -> Result<()> {
    const PREFIX: &str = "my*site[1]";
    let servers = (0..3).map(|_| RedisServer::start());
    let redis = servers.collect::<Result<Vec<_>>>()?;
    let urls: Vec<_> = redis.iter().map(RedisServer::url).collect();
    let cluster = ClusterOptions::new()
        .set("layer.redis.hosts", json!(urls))
        .set("layer.format", "core")
        .set("layer.prefix", PREFIX)
        .set("layer.core.random_prefix_length", 5)
        .set("layer.core.expiry_ms", 10_000)
        .set("layer.core.group_expiry_ms", 30_000)
        .config(GROUP_ROUTE)
        .start()
        .await?;
    let mut python = PythonLayer::with(&PythonOptions {
        prefix: Some(PREFIX.to_owned()),
        random_prefix_length: Some(5),
        expiry: Some(10),
        group_expiry: Some(30),
        ..PythonOptions::core(urls)
    })
    .await?;
    let member = python.join("red").await?;
    let mut socket = cluster[0].connect("/g/red").await?;
    python.group_send("red", &say("from Python")).await?;
    assert_eq!(socket.text().await?, said("from Python"));
    assert_eq!(python.receive(&member).await?, say("from Python"));
    python.send(socket.channel(), &say("to one")).await?;
    assert_eq!(socket.text().await?, said("to one"));
    socket.send_text("back").await?;
    assert_eq!(python.receive(&member).await?, say("back"));
    Ok(())
}
