//! Whose session a channel is, and which names are no channels.

use std::time::Duration;

use anyhow::{Result, ensure};
use fanfare_rig::eventually;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{error, node_with_users};

#[tokio::test]
async fn a_channel_is_answered_with_its_session_and_user_and_no_other_name_is() -> Result<()> {
    let node = node_with_users(&[]).await?;
    let ann = node.connect("/ws/chat/lobby/?user=ann%40a.com").await?;
    let nobody = node.connect("/ws/chat/lobby/").await?;
    for (socket, user) in [(&ann, json!("ann@a.com")), (&nobody, Value::Null)] {
        let channel = socket.channel();
        let escaped = channel.replace('!', "%21");
        let answer = node
            .api()
            .get(&format!("/api/v1/channels/{escaped}"))
            .await?;
        ensure!(answer.status == 200, "{answer:?}");
        let session = answer.json()?;
        let id = channel.split(['.', '!']).nth(1);
        ensure!(session["node"].as_str() == id, "{session}");
        ensure!(
            session["channel"] == channel && session["user"] == user,
            "{session}"
        );
    }
    let mut others = ["work", "specific.abc!def", "specific.abc!0123456789abcdef"]
        .map(str::to_owned)
        .to_vec();
    // A name of this node that no session has.
    let (process, _) = ann.channel().split_once('!').unwrap_or_default();
    others.push(format!("{process}!0123456789abcdef"));
    others.push(format!("{process}!{}", "0123456789abcdef".repeat(2)));
    for name in others {
        let answer = node.api().get(&format!("/api/v1/channels/{name}")).await?;
        error(&answer, 404, "unknown_channel")?;
    }
    for name in [
        "asgi__group__fanfare.all",
        "fanfare:asgi:nodes",
        "a b",
        "%ff",
    ] {
        let answer = node.api().get(&format!("/api/v1/channels/{name}")).await?;
        error(&answer, 400, "invalid_channel")?;
        let path = format!("/api/v1/channels/{name}/events");
        let answer = node.api().post(&path, &json!({ "type": "x" })).await?;
        error(&answer, 400, "invalid_channel")?;
    }
    let channel = ann.channel().to_owned();
    ann.close(1000).await?;
    eventually(
        Duration::from_secs(10),
        "the end of the session",
        async || {
            let answer = node
                .api()
                .get(&format!("/api/v1/channels/{channel}"))
                .await?;
            Ok((answer.status == 404).then_some(()))
        },
    )
    .await?;
    let request = node.api().anonymous(Method::GET, "/api/v1/channels/x");
    error(&node.api().send(request).await?, 401, "unauthorized")?;
    Ok(())
}
