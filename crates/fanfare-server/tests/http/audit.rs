//! The audit log: a line for each kind, and none when it is off.

use anyhow::{Context as _, Result, ensure};
use fanfare_rig::{API_KEY, Node, RawConnection};
use reqwest::Method;
use serde_json::json;

use crate::{node, node_with_config};

/// The first 8 digits of the SHA-256 of the rig's key.
const FINGERPRINT: &str = "87397991";

const ON: &str = "log.audit=true";

/// The lines of the audit log, each from its kind on.
fn lines(log: &str) -> Vec<&str> {
    log.lines()
        .filter_map(|line| Some(line.split_once(" fanfare::audit: ")?.1))
        .collect()
}

/// Waits for the audit line that starts so; gives it.
async fn line(node: &Node, start: &str) -> Result<String> {
    let log = node.logged(&format!("fanfare::audit: {start}")).await?;
    let found = lines(&log).into_iter().find(|line| line.starts_with(start));
    Ok(found.context(log.clone())?.to_owned())
}

#[tokio::test]
async fn a_publish_names_key_client_target_type_size_and_status() -> Result<()> {
    let node = node(&[ON, "log.level=warn"]).await?;
    let event = json!({ "type": "chat.message", "message": "s3cret" });
    let bytes = event.to_string().len();
    node.api().publish_group("chat_a", &event).await?;
    let published = line(&node, "publish ").await?;
    let due = format!("publish key={FINGERPRINT} client=127.0.0.1:");
    ensure!(published.starts_with(&due), "{published}");
    let due = format!("to=\"group:chat_a\" event_type=\"chat.message\" bytes={bytes} status=202");
    ensure!(published.ends_with(&due), "{published}");
    // As it was sent.
    let path = "/api/v1/groups/chat%5Fa/events";
    let due = format!("method=\"POST\" path=\"{path}\" status=202");
    ensure!(line(&node, "key ").await?.ends_with(&due), "{}", node.log());
    let log = node.log();
    ensure!(!log.contains("s3cret") && !log.contains(API_KEY), "{log}");
    Ok(())
}

#[tokio::test]
async fn each_event_of_a_batch_has_a_line() -> Result<()> {
    let node = node(&[ON]).await?;
    let event = json!({ "type": "x" });
    let batch = json!({ "events": [
        { "user": "ada", "event": event },
        { "all": true, "event": event },
        { "group": "", "event": event },
    ]});
    ensure!(node.api().post("/api/v1/batch", &batch).await?.status == 200);
    line(&node, "key ").await?;
    let log = node.log();
    let published = lines(&log)
        .into_iter()
        .filter(|line| line.starts_with("publish"));
    let published: Vec<_> = published.collect();
    ensure!(published.len() == 2, "{log}");
    for (line, to) in published.iter().zip(["user:ada", "all"]) {
        let due = format!("to=\"{to}\" event_type=\"x\" bytes=12 status=202");
        ensure!(line.contains(&due), "{line}");
    }
    Ok(())
}

#[tokio::test]
async fn a_refusal_names_client_path_status_and_code() -> Result<()> {
    let node = node(&[ON]).await?;
    let request = node
        .api()
        .anonymous(Method::GET, "/api/v1/nodes?key=s3cret");
    node.api().send(request.bearer_auth("s3cret")).await?;
    let refused = line(&node, "refused ").await?;
    ensure!(
        refused.starts_with("refused client=127.0.0.1:"),
        "{refused}"
    );
    let due = "method=\"GET\" path=\"/api/v1/nodes\" status=401 code=\"unauthorized\"";
    ensure!(refused.ends_with(due), "{refused}");
    let mut raw = RawConnection::open(node.address()).await?;
    let handshake = raw.handshake("/ws/echo?token=s3cret", "Origin: http://evil.example\r\n");
    raw.write(handshake.as_bytes()).await?;
    ensure!(raw.response().await?.status == 403);
    let due = "path=\"/ws/echo\" status=403 code=\"origin_denied\"";
    node.logged(due).await?;
    node.api().get("/nowhere").await?;
    let due = "path=\"/nowhere\" status=404 code=\"not_found\"";
    node.logged(due).await?;
    ensure!(!node.log().contains("s3cret"), "{}", node.log());
    Ok(())
}

#[tokio::test]
async fn the_end_of_a_session_and_the_drain_have_lines() -> Result<()> {
    let mut node = node(&[ON, "log.access=false", "drain.window_ms=0"]).await?;
    let socket = node.connect("/ws/echo").await?;
    let peer = socket.tcp().local_addr()?;
    socket.close(1000).await?;
    let due = format!("closed session=\"/ws/echo [{peer}]\" cause=\"client\" close_code=1000");
    ensure!(line(&node, "closed ").await? == due, "{}", node.log());
    let _open = node.connect("/ws/echo").await?;
    node.terminate()?;
    node.exit_status(std::time::Duration::from_secs(20)).await?;
    let log = node.log();
    let lines = lines(&log);
    let steps: Vec<_> = lines
        .iter()
        .filter(|line| line.starts_with("drain "))
        .collect();
    ensure!(
        steps
            == [
                &"drain step=\"begin\" sessions=1",
                &"drain step=\"end\" sessions=0"
            ],
        "{log}"
    );
    let drained = "cause=\"drain\" close_code=1001";
    ensure!(lines.iter().any(|line| line.ends_with(drained)), "{log}");
    ensure!(!log.contains("WebSocket CONNECT"), "{log}");
    Ok(())
}

#[tokio::test]
async fn what_clients_write_is_escaped_and_cut() -> Result<()> {
    let node = node(&[ON]).await?;
    let event_type = format!("a\nb\u{1b}[2J\u{202e}{}", "c".repeat(5000));
    let event = json!({ "type": event_type });
    node.api().publish_group("chat_a", &event).await?;
    let line = line(&node, "publish ").await?;
    ensure!(
        line.contains("event_type=\"a\\nb\\u{1b}[2J\\u{202e}ccc"),
        "{line}"
    );
    ensure!(line.contains("more characters)\" bytes=50"), "{line}");
    Ok(())
}

#[tokio::test]
async fn nothing_is_written_when_it_is_off() -> Result<()> {
    for level in ["log.level=info", "log.level=fanfare::audit=trace"] {
        let mut node = node_with_config("", &[level]).await?;
        node.api()
            .publish_group("chat_a", &json!({ "type": "x" }))
            .await?;
        node.api().get("/nowhere").await?;
        node.connect("/ws/echo").await?.close(1000).await?;
        node.terminate()?;
        node.exit_status(std::time::Duration::from_secs(20)).await?;
        ensure!(!node.log().contains("fanfare::audit"), "{}", node.log());
    }
    Ok(())
}
