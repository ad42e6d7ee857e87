//! `flush()` of channels_redis while Fanfare holds sessions.

use std::time::{Duration, Instant};

use anyhow::Result;
use fanfare_rig::{
    Cluster, ClusterOptions, PythonBackend, PythonLayer, PythonOptions, RedisServer, eventually,
};
use serde_json::json;

use crate::support::{GROUP_ROUTE, SOON, said, say};

struct Site {
    cluster: Cluster,
    python: PythonLayer,
    redis: RedisServer,
}

async fn site(backend: PythonBackend, format: &str) -> Result<Site> {
    let redis = RedisServer::start()?;
    let cluster = ClusterOptions::new()
        .set("layer.redis.hosts", json!([redis.url()]))
        .set("layer.format", format)
        .config(GROUP_ROUTE);
    Ok(Site {
        cluster: cluster.start().await?,
        python: PythonLayer::with(&PythonOptions::new(backend, &[redis.url()])).await?,
        redis,
    })
}

#[tokio::test]
async fn a_flush_of_the_pubsub_layer_does_not_touch_sessions() -> Result<()> {
    let mut site = site(PythonBackend::PubSub, "pubsub").await?;
    let mut socket = site.cluster[0].connect("/g/red").await?;
    site.python.flush().await?;
    site.python.group_send("red", &say("after")).await?;
    assert_eq!(socket.text().await?, said("after"));
    Ok(())
}

/// It deletes every key with the prefix; nodes look every two seconds.
#[tokio::test]
async fn after_a_flush_of_the_core_layer_sessions_are_members_again() -> Result<()> {
    let mut site = site(PythonBackend::Core, "core").await?;
    let mut socket = site.cluster[0].connect("/g/red").await?;
    site.python.flush().await?;
    let flushed = Instant::now();
    let redis = &site.redis;
    eventually(SOON, "the membership", async || {
        let members: usize = redis::from_redis_value(redis.cli(&["ZCARD", "asgi:group:red"])?)?;
        Ok((members == 1).then_some(()))
    })
    .await?;
    assert!(flushed.elapsed() < Duration::from_secs(4));
    site.python.group_send("red", &say("after")).await?;
    assert_eq!(socket.text().await?, said("after"));
    let lost = "fanfare_layer_memberships_lost_total";
    assert_eq!(site.cluster[0].metrics().await?.sum(lost, &[]), 1.0);
    Ok(())
}
