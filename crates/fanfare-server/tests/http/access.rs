//! Access lines on stderr.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fanfare_rig::{Node, RawConnection, eventually};

use crate::node;

/// Waits for an access line that starts so; gives it from there.
async fn line(node: &Node, start: &str) -> Result<String> {
    eventually(
        Duration::from_secs(10),
        &format!("the line {start:?}"),
        async || {
            let log = node.log();
            Ok(log
                .lines()
                .find_map(|line| Some(line.get(line.find(start)?..)?.to_owned())))
        },
    )
    .await
}

#[tokio::test]
async fn a_socket_logs_handshaking_connect_and_disconnect_without_its_query() -> Result<()> {
    let node = node(&[]).await?;
    let socket = node.connect("/ws/echo?secret=1").await?;
    let peer = socket.tcp().local_addr()?;
    for word in ["HANDSHAKING", "CONNECT"] {
        let expected = format!("WebSocket {word} /ws/echo [{peer}]");
        ensure!(line(&node, &format!("WebSocket {word} ")).await? == expected);
    }
    socket.close(1000).await?;
    let expected = format!("WebSocket DISCONNECT /ws/echo [{peer}]");
    ensure!(line(&node, "WebSocket DISCONNECT ").await? == expected);
    Ok(())
}

#[tokio::test]
async fn a_refused_socket_logs_handshaking_reject_and_disconnect_in_this_order() -> Result<()> {
    let node = node(&[]).await?;
    let mut raw = RawConnection::open(node.address()).await?;
    let request = raw.handshake("/ws/echo", "Origin: http://evil.example\r\n");
    raw.write(request.as_bytes()).await?;
    ensure!(raw.response().await?.status == 403);
    line(&node, "WebSocket DISCONNECT /ws/echo [127.0.0.1:").await?;
    let log = node.log();
    let place = |word: &str| {
        log.find(&format!("WebSocket {word} /ws/echo ["))
            .context(word.to_owned())
    };
    let places = [
        place("HANDSHAKING")?,
        place("REJECT")?,
        place("DISCONNECT")?,
    ];
    ensure!(places.is_sorted(), "{log}");
    ensure!(!log.contains("WebSocket CONNECT"), "{log}");
    Ok(())
}

#[tokio::test]
async fn requests_log_method_path_status_seconds_and_peer() -> Result<()> {
    let node = node(&["log.level=debug"]).await?;
    node.api().get("/nothing?secret=1").await?;
    node.api().get("/health/live").await?;
    let logged = line(&node, "HTTP GET /nothing ").await?;
    let rest = logged
        .strip_prefix("HTTP GET /nothing 404 [")
        .context(logged.clone())?;
    let (seconds, peer) = rest.split_once(", 127.0.0.1:").context(logged.clone())?;
    ensure!(
        seconds.len() == 4 && seconds.parse::<f64>().is_ok(),
        "{logged}"
    );
    ensure!(
        peer.strip_suffix(']')
            .is_some_and(|port| port.parse::<u16>().is_ok()),
        "{logged}"
    );
    line(&node, "HTTP GET /health/live 200 [").await?;
    let log = node.log();
    let health = log
        .lines()
        .find(|line| line.contains("/health/live"))
        .unwrap_or_default();
    ensure!(health.contains("DEBUG"), "{health}");
    Ok(())
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_line_names_its_client() -> Result<()> {
    let node = node(&["http.trusted_proxies=[\"127.0.0.1\"]"]).await?;
    let request = node.api().anonymous(reqwest::Method::GET, "/nothing");
    let request = request.header("x-forwarded-for", "198.51.100.1, 203.0.113.9");
    node.api().send(request).await?;
    let logged = line(&node, "HTTP GET /nothing ").await?;
    ensure!(logged.ends_with(", 203.0.113.9]"), "{logged}");
    Ok(())
}

#[tokio::test]
async fn access_lines_can_be_turned_off() -> Result<()> {
    let node = node(&["log.access=false"]).await?;
    let socket = node.connect("/ws/echo").await?;
    node.api().get("/nothing").await?;
    socket.close(1000).await?;
    let limit = Duration::from_secs(10);
    node.metric_when("fanfare_sessions", &[], limit, |open| open == 0.0)
        .await?;
    let log = node.log();
    ensure!(
        !log.contains("WebSocket ") && !log.contains("HTTP GET"),
        "{log}"
    );
    Ok(())
}
