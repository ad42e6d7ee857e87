//! Why Redis does not answer, in the log and in `/health/ready`: the reason of now, not the first.

use anyhow::{Result, ensure};
use fanfare_rig::{ClusterOptions, Node, RedisOptions, RedisServer, ReservedPort, eventually};

use crate::support::SOON;

/// Waits until the node says in both places why Redis does not answer; gives the log.
async fn says(node: &Node, reason: &str) -> Result<String> {
    eventually(SOON, &format!("{reason} in /health/ready"), async || {
        let answer = node.api().get("/health/ready").await?;
        ensure!(answer.status == 503, "{answer:?}");
        Ok(answer.body.contains(reason).then_some(()))
    })
    .await?;
    let log = node.logged(reason).await?;
    let line = log.lines().find(|line| line.contains(reason));
    ensure!(line.is_some_and(|line| line.contains("WARN")), "{line:?}");
    Ok(log)
}

#[tokio::test]
async fn a_password_that_was_changed_during_an_outage_is_told_and_not_shown() -> Result<()> {
    for format in ["pubsub", "core"] {
        let mut redis = RedisServer::with(RedisOptions {
            password: Some("s3cret".into()),
            ..RedisOptions::default()
        })?;
        let cluster = ClusterOptions::new()
            .redis(&redis.url())
            .set("layer.format", format)
            .set("health.layer_grace_ms", 0)
            .start()
            .await?;
        let node = &cluster[0];
        redis.kill();
        says(node, "Connection refused").await?;
        redis.change_password(Some("another"));
        redis.restart()?;
        let log = says(node, "authentication failed").await?;
        let body = node.api().get("/health/ready").await?.body;
        ensure!(!log.contains("s3cret") && !body.contains("s3cret"), "{log}");
        // Each reason stands there once, however often it was found.
        let again = "fanfare_layer_reconnects_total";
        let count = node.metric(again, &[]).await?;
        node.metric_when(again, &[], SOON, |now| now >= count + 2.0)
            .await?;
        ensure!(node.log().matches("authentication failed").count() == 1);
    }
    Ok(())
}

#[tokio::test]
async fn a_cluster_that_comes_where_nobody_was_is_told_in_the_core_format() -> Result<()> {
    let port = ReservedPort::reserve()?;
    let cluster = ClusterOptions::new()
        .redis(&format!("redis://127.0.0.1:{}", port.number()))
        .set("layer.format", "core")
        .unready()
        .start()
        .await?;
    says(&cluster[0], "Connection refused").await?;
    let _redis = RedisServer::with(RedisOptions {
        port: Some(port),
        arguments: vec!["--cluster-enabled".into(), "yes".into()],
        ..RedisOptions::default()
    })?;
    says(&cluster[0], "Redis Cluster").await?;
    Ok(())
}
