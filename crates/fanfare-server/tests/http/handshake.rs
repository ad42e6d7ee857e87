//! The door to the WebSocket routes.

use anyhow::{Result, ensure};
use fanfare_rig::{Node, RawConnection, RawResponse, Socket, SocketOptions};

use crate::{error, node, node_with_config, node_with_users, shape};

/// A correct handshake with more header lines, read to the end of the connection.
pub(crate) async fn refused(node: &Node, path: &str, more: &str) -> Result<RawResponse> {
    let mut raw = RawConnection::open(node.address()).await?;
    let request = raw.handshake(path, more);
    raw.write(request.as_bytes()).await?;
    raw.response().await
}

/// Connects as a page of `origin` does.
async fn accepted(node: &Node, origin: &str) -> Result<Socket> {
    let headers = vec![("Origin".to_owned(), origin.to_owned())];
    let options = SocketOptions {
        headers,
        ..SocketOptions::default()
    };
    Socket::connect(node.address(), "/ws/echo", &options).await
}

/// Insists on a refusal: a whole response, after which the connection ends.
pub(crate) fn expect(response: &RawResponse, status: u16, code: &str) -> Result<()> {
    shape(
        &serde_json::from_str(&response.body)?,
        response.status,
        (status, code),
    )?;
    let length = response
        .header("content-length")
        .and_then(|length| length.parse().ok());
    ensure!(length == Some(response.body.len()), "{response:?}");
    let closes = response
        .header("connection")
        .is_some_and(|value| value.contains("close"));
    ensure!(closes, "{response:?}");
    Ok(())
}

#[tokio::test]
async fn a_plain_get_on_a_route_is_told_to_upgrade() -> Result<()> {
    let node = node(&[]).await?;
    for path in ["/ws/echo", "/ws/echo/", "/ws/chat/lobby/"] {
        let answer = node.api().get(path).await?;
        error(&answer, 426, "upgrade_required")?;
        ensure!(answer.header("upgrade") == Some("websocket"), "{answer:?}");
        let closes = answer
            .header("connection")
            .is_some_and(|value| value.contains("close"));
        ensure!(closes, "{answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn routes_match_with_and_without_their_final_slash() -> Result<()> {
    let node = node(&[]).await?;
    for path in [
        "/ws/echo",
        "/ws/echo/",
        "/ws/chat/a-b_c.9",
        "/ws/chat/%61/",
        "/room/x?y=1",
    ] {
        node.connect(path).await?;
    }
    for path in [
        "/ws/echo//",
        "/ws/ech",
        "/ws/chat/a/b/",
        "/ws/chat/a%20b/",
        "/ws/chat//",
        "/x",
    ] {
        expect(&refused(&node, path, "").await?, 404, "not_found")?;
    }
    Ok(())
}

#[tokio::test]
async fn a_group_name_that_a_parameter_makes_illegal_is_400() -> Result<()> {
    let node = node_with_users(&[]).await?;
    let path = format!("/ws/chat/{}/", "a".repeat(251));
    expect(&refused(&node, &path, "").await?, 400, "invalid_group")?;
    expect(
        &refused(&node, "/ws/notifications?user=", "").await?,
        400,
        "invalid_user",
    )?;
    Ok(())
}

#[tokio::test]
async fn by_default_only_pages_of_this_host_may_connect() -> Result<()> {
    let node = node(&[]).await?;
    accepted(&node, &format!("http://{}", node.address())).await?;
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1"] {
        let response = refused(&node, "/ws/echo", &format!("Origin: {origin}\r\n")).await?;
        expect(&response, 403, "origin_denied")?;
    }
    node.logged("http://evil.example").await?;
    Ok(())
}

#[tokio::test]
async fn configured_origins_replace_the_default_rule() -> Result<()> {
    let node = node(&["http.origins=[\"https://a.example\"]"]).await?;
    expect(&refused(&node, "/ws/echo", "").await?, 403, "origin_denied")?;
    let own = format!("Origin: http://{}\r\n", node.address());
    expect(
        &refused(&node, "/ws/echo", &own).await?,
        403,
        "origin_denied",
    )?;
    accepted(&node, "https://a.example").await?;
    Ok(())
}

#[tokio::test]
async fn a_full_node_and_too_many_groups_are_refused() -> Result<()> {
    let node = node_with_users(&["limits.sessions=1", "limits.groups_per_session=1"]).await?;
    let open = node.connect("/ws/echo").await?;
    let response = refused(&node, "/ws/echo", "").await?;
    expect(&response, 503, "node_full")?;
    ensure!(response.header("retry-after").is_some(), "{response:?}");
    open.close(1000).await?;
    let fanfare_says_zero = |value: f64| value == 0.0;
    let limit = std::time::Duration::from_secs(10);
    node.metric_when("fanfare_sessions", &[], limit, fanfare_says_zero)
        .await?;
    let response = refused(&node, "/ws/notifications?user=ann", "").await?;
    expect(&response, 400, "too_many_groups")?;
    Ok(())
}

#[tokio::test]
async fn a_broken_handshake_and_connect_are_refused() -> Result<()> {
    let node = node(&[]).await?;
    for (header, instead, status, code) in [
        (
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Version: 8",
            426,
            "unsupported_version",
        ),
        (
            "Sec-WebSocket-Key: ",
            "Sec-WebSocket-Key: x",
            400,
            "bad_handshake",
        ),
        (
            "Connection: Upgrade",
            "Connection: keep-alive",
            400,
            "bad_handshake",
        ),
    ] {
        let mut raw = RawConnection::open(node.address()).await?;
        let request = raw.handshake("/ws/echo", "").replace(header, instead);
        raw.write(request.as_bytes()).await?;
        expect(&raw.response().await?, status, code)?;
    }
    let mut raw = RawConnection::open(node.address()).await?;
    raw.write(b"CONNECT example.com:80 HTTP/1.1\r\nHost: example.com:80\r\n\r\n")
        .await?;
    expect(&raw.response().await?, 405, "method_not_allowed")?;
    Ok(())
}

#[tokio::test]
async fn a_route_publishes_to_all_its_groups_and_to_no_other() -> Result<()> {
    let config = r#"
        development = true

        [[routes]]
        path = "/two/{a}/{b}"
        groups = ["x_{a}", "x_{b}"]
        on_receive = "group_send"
        event_type = "note"
        exclude_sender = true
        user = { query = "user" }

        [[routes]]
        path = "/one/{a}"
        groups = ["x_{a}"]
        on_receive = "ignore"
        user = { query = "user" }
    "#;
    let node = node_with_config(config, &[]).await?;
    let mut sender = node.connect("/two/a/b?user=ann").await?;
    let mut a = node.connect("/one/a").await?;
    let mut b = node.connect("/one/b").await?;
    let mut ann = node.connect("/one/c?user=ann").await?;
    sender.send_text("hi").await?;
    ensure!(a.text().await? == r#"{"type":"note","message":"hi"}"#);
    ensure!(b.text().await? == r#"{"type":"note","message":"hi"}"#);
    node.api()
        .publish("/broadcast", &serde_json::json!({ "type": "end" }))
        .await?;
    for socket in [&mut sender, &mut a, &mut b, &mut ann] {
        ensure!(
            socket.text().await? == r#"{"type":"end"}"#,
            "nothing came in between"
        );
    }
    // The same group twice is one group: one copy for its members, and the sender is left out.
    let mut twice = node.connect("/two/a/a").await?;
    twice.send_text("once").await?;
    // Seen before the next is published: two publishers have no order between them.
    ensure!(a.text().await? == r#"{"type":"note","message":"once"}"#);
    node.api()
        .publish("/broadcast", &serde_json::json!({ "type": "end" }))
        .await?;
    ensure!(a.text().await? == r#"{"type":"end"}"#);
    ensure!(twice.text().await? == r#"{"type":"end"}"#);
    Ok(())
}

#[tokio::test]
async fn the_shipped_routes_echo_reply_and_welcome() -> Result<()> {
    let node = node(&[]).await?;
    let mut echo = node.connect("/ws/echo").await?;
    echo.send_text("t\u{e9}xt").await?;
    ensure!(echo.text().await? == "t\u{e9}xt");
    let mut reply = node.connect("/room/r").await?;
    reply.send_text("anything").await?;
    ensure!(reply.text().await? == "OK");
    let mut notifications = node.connect("/ws/notifications").await?;
    let welcome = notifications.json().await?;
    let channel = notifications.channel();
    ensure!(
        welcome == serde_json::json!({ "type": "welcome", "channel": channel }),
        "{welcome}"
    );
    Ok(())
}

#[tokio::test]
async fn a_user_of_the_query_is_not_believed_through_a_proxy() -> Result<()> {
    let node = node_with_users(&[]).await?;
    node.logged("ANYONE CAN BE ANY USER").await?;
    node.connect("/ws/notifications?user=ann").await?;
    for header in [
        "X-Forwarded-For: 203.0.113.9",
        "X-Forwarded-Proto: https",
        "Forwarded: for=203.0.113.9",
        "X-Real-IP: 203.0.113.9",
        "Via: 1.1 proxy",
    ] {
        let path = "/ws/notifications?user=ann";
        let response = refused(&node, path, &format!("{header}\r\n")).await?;
        expect(&response, 403, "development_only")?;
    }
    let log = node.logged("came through a proxy").await?;
    ensure!(log.matches("came through a proxy").count() == 1, "{log}");
    // A route without users is not concerned.
    let mut raw = RawConnection::open(node.address()).await?;
    let request = raw.handshake("/ws/echo", "X-Forwarded-For: 203.0.113.9\r\n");
    raw.write(request.as_bytes()).await?;
    ensure!(raw.head().await?.status == 101);
    Ok(())
}
