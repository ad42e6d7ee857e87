//! HTTP connections that nobody uses.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use fanfare_rig::{API_KEY, Node, RawConnection};
use futures_util::future::try_join_all;
use serde_json::Value;

use crate::{node, shape};

const KEEP_ALIVE: Duration = Duration::from_millis(500);

fn post() -> String {
    let body = r#"{"type":"n"}"#;
    format!(
        "POST /api/v1/broadcast HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {API_KEY}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Posts, waits for the close of the connection, and posts again without having read it: to the
/// client the request and the close have crossed.
async fn cross(node: &Node) -> Result<()> {
    let mut raw = RawConnection::open(node.address()).await?;
    raw.write(post().as_bytes()).await?;
    ensure!(raw.answer().await?.status == 202);
    let answered = Instant::now();
    raw.readable().await?;
    ensure!(answered.elapsed() >= KEEP_ALIVE, "{:?}", answered.elapsed());
    raw.write(post().as_bytes()).await?;
    let response = raw.response().await?;
    let body: Value = serde_json::from_str(&response.body)?;
    shape(&body, response.status, (408, "connection_idle"))?;
    ensure!(
        response.header("connection") == Some("close"),
        "{response:?}"
    );
    Ok(())
}

#[tokio::test]
async fn requests_that_cross_the_close_of_their_connection_are_answered() -> Result<()> {
    let node = node(&[&format!("http.keep_alive_ms={}", KEEP_ALIVE.as_millis())]).await?;
    try_join_all((0..43).map(|_| cross(&node))).await?;
    // What was told not to be done was not done.
    ensure!(node.metric("fanfare_events_published_total", &[]).await? == 43.0);
    Ok(())
}

#[tokio::test]
async fn without_keep_alive_a_connection_is_closed_behind_its_answer() -> Result<()> {
    let node = node(&["http.keep_alive_ms=0"]).await?;
    let mut raw = RawConnection::open(node.address()).await?;
    raw.write(post().as_bytes()).await?;
    let response = raw.response().await?;
    ensure!(response.status == 202, "{response:?}");
    ensure!(response.body == r#"{"published":1}"#, "{response:?}");
    Ok(())
}
