//! Long heads, and what of them reaches the log.

use anyhow::{Result, ensure};
use fanfare_rig::{Node, RawConnection};

use crate::{error, node, shape};

async fn ask(node: &Node, request: &str) -> Result<fanfare_rig::RawResponse> {
    let mut raw = RawConnection::open(node.address()).await?;
    raw.write(request.as_bytes()).await?;
    raw.response().await
}

#[tokio::test]
async fn the_keys_bound_the_line_and_the_head() -> Result<()> {
    let node = node(&["http.line_bytes=300", "http.head_bytes=1024"]).await?;
    let path = format!("/{}", "a".repeat(300));
    error(&node.api().get(&path).await?, 414, "uri_too_long")?;
    let request = node.api().anonymous(reqwest::Method::GET, "/health/live");
    let request = request.header("x-much", "b".repeat(1000));
    error(&node.api().send(request).await?, 431, "head_too_large")?;
    let mut raw = RawConnection::open(node.address()).await?;
    let handshake = raw.handshake(&path, "");
    raw.write(handshake.as_bytes()).await?;
    let answer = raw.response().await?;
    shape(
        &serde_json::from_str(&answer.body)?,
        answer.status,
        (414, "uri_too_long"),
    )?;
    node.connect("/ws/echo").await?;
    node.logged("a request was refused: the request line is over 300 bytes")
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_path_of_60_kb_stands_nowhere_in_the_log() -> Result<()> {
    let node = node(&[]).await?;
    let long = "a".repeat(60_000);
    for head in ["", "Upgrade: websocket\r\nConnection: Upgrade\r\n"] {
        let request = format!("GET /ws/{long} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n");
        let answer = ask(&node, &request).await?;
        ensure!(answer.status == 414, "{}", answer.status);
    }
    node.api().get("/the-last").await?;
    let log = node.logged("GET /the-last 404").await?;
    ensure!(log.len() < 20_000, "{} bytes", log.len());
    ensure!(!log.contains("aaaa"), "{log}");
    Ok(())
}

#[tokio::test]
async fn a_path_and_an_origin_are_cut_at_200_characters_in_every_line() -> Result<()> {
    let node = node(&[]).await?;
    let path = format!("/{}", "p".repeat(5000));
    node.api().get(&path).await?;
    let method = "M".repeat(5000);
    let request = format!("{method} / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    ask(&node, &request).await?;
    let origin = format!("Origin: http://{}\r\n", "o".repeat(5000));
    let mut raw = RawConnection::open(node.address()).await?;
    let handshake = raw.handshake("/ws/echo", &origin);
    raw.write(handshake.as_bytes()).await?;
    ensure!(raw.response().await?.status == 403);
    let mut raw = RawConnection::open(node.address()).await?;
    let handshake = raw.handshake(&path, "");
    raw.write(handshake.as_bytes()).await?;
    ensure!(raw.response().await?.status == 404);
    let log = node.logged("WebSocket DISCONNECT /ppp").await?;
    ensure!(log.lines().all(|line| line.len() < 1000), "{log}");
    let due = format!(
        "HTTP GET /{}\u{2026} (4801 more characters) 404 [",
        "p".repeat(199)
    );
    ensure!(log.contains(&due), "{log}");
    for word in ["HANDSHAKING", "REJECT", "DISCONNECT"] {
        let due = format!("WebSocket {word} /{}\u{2026} (4801 more", "p".repeat(199));
        ensure!(log.contains(&due), "{due}: {log}");
    }
    ensure!(
        log.contains("HTTP MMM") && log.contains("MM\u{2026} (4800 more characters) / "),
        "{log}"
    );
    ensure!(log.contains("ooo\u{2026} (4807 more characters)"), "{log}");
    Ok(())
}
