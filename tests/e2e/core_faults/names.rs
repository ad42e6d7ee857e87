//! Names that Python knows: everyone, a user, a session that is not there any more.

use std::time::Duration;

use anyhow::{Context, Result};
use fanfare_rig::{API_KEY, Node, RedisServer, Turn, eventually};

use super::{TWO_GROUPS_ROUTE, node_of, nodes, python, waiting};
use crate::support::{GROUP_ROUTE, SOON, said, say};

/// The time that the others give a silent node, and what a busy machine may add.
const CLEARED_WITHIN: Duration = Duration::from_secs(30);

#[tokio::test]
async fn python_reaches_everyone_and_all_sessions_of_a_user() -> Result<()> {
    let redis = RedisServer::start()?;
    let cluster = nodes(2, &redis).start().await?;
    let mut python = python(&redis).await?;
    let mut ann = Vec::new();
    for node in cluster.nodes() {
        ann.push(node.connect("/g/red?user=ann").await?);
    }
    let mut bob = cluster[0].connect("/g/blue?user=bob").await?;
    let mut nobody = cluster[1].connect("/g/blue").await?;
    python.group_send("fanfare.user.ann", &say("ann")).await?;
    python.group_send("fanfare.user.bob", &say("bob")).await?;
    python.group_send("fanfare.user.eve", &say("eve")).await?;
    // Groups may have different lanes, whose order comes from the time of sending.
    python.group_send("fanfare.all", &say("all")).await?;
    for socket in &mut ann {
        assert_eq!(socket.text().await?, said("ann"));
        assert_eq!(socket.text().await?, said("all"));
    }
    assert_eq!(bob.text().await?, said("bob"));
    assert_eq!(bob.text().await?, said("all"));
    assert_eq!(nobody.text().await?, said("all"));
    Ok(())
}

async fn node(redis: &RedisServer) -> Result<Node> {
    let config = format!("{GROUP_ROUTE}{TWO_GROUPS_ROUTE}");
    let sets = [
        "development=true".to_owned(),
        "http.bind=127.0.0.1:0".to_owned(),
        format!("api.keys=[\"{API_KEY}\"]"),
        "layer.format=core".to_owned(),
        format!("layer.redis.hosts=[\"{}\"]", redis.url()),
    ];
    let node = Node::start("node", &config, &sets).await?;
    node.ready_is(200, SOON).await.with_context(|| node.log())?;
    Ok(node)
}

#[tokio::test]
async fn what_is_sent_to_a_stored_channel_of_a_session_that_has_gone_is_dropped_and_counted()
-> Result<()> {
    let _turn = Turn::shared().await;
    let redis = RedisServer::start()?;
    let mut python = python(&redis).await?;
    let before = node(&redis).await?;
    let mut stays = before.connect("/g/red").await?;
    let leaves = before.connect("/g/red").await?;
    let stored = leaves.channel().to_owned();
    leaves.close(1000).await?;
    let dropped = [("cause", "no_session")];
    eventually(SOON, "the end of a session", async || {
        Ok((before.metric("fanfare_sessions", &[]).await? == 1.0).then_some(()))
    })
    .await?;
    python.send(&stored, &say("to nobody")).await?;
    python.send(stays.channel(), &say("to you")).await?;
    assert_eq!(stays.text().await?, said("to you"));
    let name = "fanfare_events_dropped_total";
    assert_eq!(before.metric(name, &dropped).await?, 1.0);

    // A node that starts again is another one.
    let stored = stays.channel().to_owned();
    drop(before);
    let after = node(&redis).await?;
    let mut socket = after.connect("/g/red").await?;
    assert_ne!(node_of(socket.channel())?, node_of(&stored)?);
    python.send(&stored, &say("to nobody")).await?;
    after
        .api()
        .publish_channel(&stored, &say("to nobody"))
        .await?;
    python.send(socket.channel(), &say("to you")).await?;
    assert_eq!(socket.text().await?, said("to you"));
    let lane = format!("asgispecific.{}!", node_of(&stored)?);
    assert_eq!(waiting(&redis, &lane)?, 2);
    let left = [("cause", "closed")];
    let name = "fanfare_layer_dropped_total";
    after
        .metric_when(name, &left, CLEARED_WITHIN, |count| count == 2.0)
        .await?;
    assert_eq!(waiting(&redis, &lane)?, 0);
    Ok(())
}
