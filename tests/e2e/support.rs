//! What several tests share.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fanfare_rig::{Node, RawConnection, RawResponse, RedisServer, eventually};
use redis::Value as Reply;
use serde_json::{Value, json};

/// Long enough for anything that is not measured, on a machine that is busy.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A route whose sockets are in one group, named by the path, and publish to it.
pub(crate) const GROUP_ROUTE: &str = r#"
[[routes]]
path = "/g/{group}"
groups = ["{group}"]
on_receive = "group_send"
event_type = "say"
user = { query = "user" }
"#;

/// An event with a message.
pub(crate) fn say(message: &str) -> Value {
    json!({"type": "say", "message": message})
}

/// What [`GROUP_ROUTE`] sends for [`say`].
pub(crate) fn said(message: &str) -> String {
    say(message).to_string()
}

/// The message of a frame that [`GROUP_ROUTE`] sent.
pub(crate) fn message_of(frame: &str) -> Result<String> {
    let frame: Value = serde_json::from_str(frame).with_context(|| frame.to_owned())?;
    let message = frame.get("message").and_then(Value::as_str);
    Ok(message
        .with_context(|| format!("a message in {frame}"))?
        .to_owned())
}

/// Makes a handshake with more header lines and reads the refusal to its end.
pub(crate) async fn refused(node: &Node, path: &str, more: &str) -> Result<RawResponse> {
    let mut connection = RawConnection::open(node.address()).await?;
    let request = connection.handshake(path, more);
    connection.write(request.as_bytes()).await?;
    whole(connection.response().await?)
}

/// Insists that a refusal is a whole HTTP response with an error as its body.
pub(crate) fn whole(response: RawResponse) -> Result<RawResponse> {
    let length = response.body.len().to_string();
    let connection = response.header("connection").unwrap_or_default();
    ensure!(
        connection.split(", ").any(|token| token == "close"),
        "Connection: {response:?}"
    );
    ensure!(
        response.header("content-length") == Some(&length),
        "Content-Length: {response:?}"
    );
    let code = error_code(&response)?;
    ensure!(
        !code.is_empty() && !code.contains(char::is_uppercase),
        "a code: {response:?}"
    );
    Ok(response)
}

/// `error.code` of a refusal.
pub(crate) fn error_code(response: &RawResponse) -> Result<String> {
    let body: Value = serde_json::from_str(&response.body).context(response.body.clone())?;
    let code = body.pointer("/error/code").and_then(Value::as_str);
    Ok(code
        .with_context(|| format!("error.code in {body}"))?
        .to_owned())
}

/// The Redis channels that have a subscriber, and the number of patterns.
pub(crate) fn subscriptions(redis: &RedisServer) -> Result<(Vec<String>, i64)> {
    let channels = redis::from_redis_value(redis.cli(&["PUBSUB", "CHANNELS"])?)?;
    let patterns = match redis.cli(&["PUBSUB", "NUMPAT"])? {
        Reply::Int(count) => count,
        other => anyhow::bail!("NUMPAT: {other:?}"),
    };
    Ok((channels, patterns))
}

/// Waits until a Redis channel has `count` subscribers.
pub(crate) async fn subscribed(redis: &RedisServer, channel: &str, count: i64) -> Result<()> {
    eventually(
        SOON,
        &format!("{count} subscribers of {channel}"),
        async || {
            let reply = redis.cli(&["PUBSUB", "NUMSUB", channel])?;
            let (_, now): (String, i64) = redis::from_redis_value(reply)?;
            Ok((now == count).then_some(()))
        },
    )
    .await
}

/// The value at `fraction` (0 to 1) of the sorted durations.
pub(crate) fn percentile(durations: &mut [Duration], fraction: f64) -> Duration {
    durations.sort_unstable();
    let index = ((durations.len().saturating_sub(1)) as f64 * fraction) as usize;
    durations.get(index).copied().unwrap_or_default()
}
