//! What Python says and should not, or what only Python can say: `matrix` has all the rest.

use anyhow::Result;
use fanfare_rig::{Cluster, ClusterOptions, PythonLayer, RedisServer};
use serde_json::json;

use crate::support::{GROUP_ROUTE, said, say, subscribed};

async fn cluster() -> Result<(RedisServer, Cluster, PythonLayer)> {
    let redis = RedisServer::start()?;
    let cluster = ClusterOptions::new()
        .redis(&redis.url())
        .config(GROUP_ROUTE);
    let cluster = cluster.start().await?;
    let python = PythonLayer::start(&[&redis.url()]).await?;
    Ok((redis, cluster, python))
}

#[tokio::test]
async fn what_a_socket_says_reaches_a_python_receive() -> Result<()> {
    let (redis, cluster, mut python) = cluster().await?;
    let channel = python.join("red").await?;
    let mut socket = cluster[0].connect("/g/red").await?;
    // Python does not wait for Redis to acknowledge its SUBSCRIBE.
    subscribed(&redis, "asgi__group__red", 2).await?;
    subscribed(&redis, &channel, 1).await?;
    socket.send_text("grüße").await?;
    assert_eq!(python.receive(&channel).await?, say("grüße"));
    cluster[0]
        .api()
        .publish_channel(&channel, &say("to the worker"))
        .await?;
    assert_eq!(python.receive(&channel).await?, say("to the worker"));
    let excluded = format!("/groups/red/events?exclude={}", socket.channel());
    cluster[0]
        .api()
        .publish(&excluded, &json!({"type": "say", "list": [1, null]}))
        .await?;
    let got = python.receive(&channel).await?;
    assert_eq!(
        (&got["type"], &got["list"]),
        (&json!("say"), &json!([1, null]))
    );
    Ok(())
}

#[tokio::test]
async fn values_that_json_lacks_arrive_as_the_documented_ones() -> Result<()> {
    let (_redis, cluster, mut python) = cluster().await?;
    let mut socket = cluster[0].connect("/g/red").await?;
    let event = r"{'type': 'say', 'nan': nan, 'inf': [inf, -inf], 'raw': b'\x00\xff', 'big': 2**64 - 1, 'pair': (1, 'ü'), 'none': None}";
    python.group_send_python("red", event).await?;
    let sent = r#"{"type":"say","nan":null,"inf":[null,null],"raw":"AP8=","big":18446744073709551615,"pair":[1,"ü"],"none":null}"#;
    assert_eq!(socket.text().await?, sent);
    Ok(())
}

#[tokio::test]
async fn what_python_should_not_have_sent_harms_nobody() -> Result<()> {
    let (_redis, cluster, mut python) = cluster().await?;
    let mut socket = cluster[0].connect("/g/red").await?;
    for event in [
        "[1, 2]",
        "'text'",
        "7",
        "{1: 'a key that is no text'}",
        "{'no': 'type'}",
    ] {
        python.group_send_python("red", event).await?;
    }
    python
        .group_send_python("red", "{'type': 'websocket.close', 'message': 'x'}")
        .await?;
    python.group_send("red", &say("good")).await?;
    let good = said("good");
    for _ in 0..8 {
        if socket.text().await? == good {
            return Ok(());
        }
    }
    anyhow::bail!("the good event did not come")
}
