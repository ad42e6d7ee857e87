//! Handshakes, and refusals that are whole HTTP responses.

use std::time::Duration;

use anyhow::{Result, ensure};
use fanfare_rig::{
    Cluster, ClusterOptions, RawConnection, Socket, SocketOptions, eventually, within,
};

use crate::support::{GROUP_ROUTE, SOON, error_code, refused, whole};

#[tokio::test]
async fn every_session_has_a_channel_of_its_own_and_the_101_names_it() -> Result<()> {
    let cluster = Cluster::memory().await?;
    let first = cluster[0].connect("/ws/echo").await?;
    let second = cluster[0].connect("/ws/echo").await?;
    let (node, id) = first.channel().split_once('!').expect("a session channel");
    assert!(
        node.starts_with("specific.") && node.len() == "specific.".len() + 32,
        "{node}"
    );
    assert!(!id.is_empty());
    assert!(second.channel().starts_with(node));
    assert_ne!(first.channel(), second.channel());
    Ok(())
}

#[tokio::test]
async fn a_route_answers_with_and_without_the_final_slash() -> Result<()> {
    let cluster = Cluster::memory().await?;
    for path in ["/ws/chat/lobby", "/ws/chat/lobby/", "/ws/echo", "/ws/echo/"] {
        cluster[0].connect(path).await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_unknown_path_is_404() -> Result<()> {
    let cluster = Cluster::memory().await?;
    for path in ["/nowhere", "/ws/chat/a/b", "/ws/chat/caf%C3%A9/"] {
        assert_eq!(refused(&cluster[0], path, "").await?.status, 404, "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn connect_is_405() -> Result<()> {
    let cluster = Cluster::memory().await?;
    let mut connection = RawConnection::open(cluster[0].address()).await?;
    connection
        .write(b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n")
        .await?;
    assert_eq!(whole(connection.response().await?)?.status, 405);
    Ok(())
}

#[tokio::test]
async fn a_plain_get_on_a_websocket_route_is_426_and_names_the_protocol() -> Result<()> {
    let cluster = Cluster::memory().await?;
    let answer = cluster[0].api().get("/ws/echo").await?;
    assert_eq!(answer.status, 426);
    assert_eq!(answer.header("upgrade"), Some("websocket"));
    assert_eq!(answer.error_code(), "upgrade_required");
    Ok(())
}

#[tokio::test]
async fn a_broken_handshake_is_refused_in_full() -> Result<()> {
    let cluster = Cluster::memory().await?;
    let address = cluster[0].address();
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let version = "Sec-WebSocket-Version: 13\r\n";
    let broken = [
        ("no key", "GET", version.to_owned()),
        ("two keys", "GET", format!("{version}{key}{key}")),
        (
            "a short key",
            "GET",
            format!("{version}Sec-WebSocket-Key: c2hvcnQ=\r\n"),
        ),
        (
            "a key that is no base64",
            "GET",
            format!("{version}Sec-WebSocket-Key: ????\r\n"),
        ),
        ("no version", "GET", key.to_owned()),
        (
            "an old version",
            "GET",
            format!("Sec-WebSocket-Version: 8\r\n{key}"),
        ),
        (
            "another method",
            "POST",
            format!("{version}{key}Content-Length: 0\r\n"),
        ),
    ];
    for (what, method, headers) in broken {
        let mut connection = RawConnection::open(address).await?;
        let request = format!(
            "{method} /ws/echo HTTP/1.1\r\nHost: {address}\r\n\
             Upgrade: websocket\r\nConnection: Upgrade\r\n{headers}\r\n"
        );
        connection.write(request.as_bytes()).await?;
        let response = whole(connection.response().await?)?;
        assert!(
            matches!(response.status, 400 | 405 | 426),
            "{what}: {response:?}"
        );
        if what == "an old version" {
            assert_eq!(
                response.header("sec-websocket-version"),
                Some("13"),
                "{response:?}"
            );
        }
    }
    cluster[0].connect("/ws/echo").await?;
    Ok(())
}

#[tokio::test]
async fn a_connection_that_never_sends_its_request_is_dropped() -> Result<()> {
    let cluster = ClusterOptions::new()
        .set("limits.handshake_ms", 500)
        .start()
        .await?;
    for start in ["", "GET /ws/echo HTTP/1.1\r\nHost: x\r\nUpgr"] {
        let mut connection = RawConnection::open(cluster[0].address()).await?;
        connection.write(start.as_bytes()).await?;
        within(
            Duration::from_secs(8),
            "the end of a silent connection",
            connection.rest(),
        )
        .await??;
    }
    Ok(())
}

#[tokio::test]
async fn a_page_of_another_host_is_refused_and_the_refusal_is_logged() -> Result<()> {
    let cluster = Cluster::memory().await?;
    let node = &cluster[0];
    let response = refused(node, "/ws/echo", "Origin: https://evil.example\r\n").await?;
    assert_eq!(response.status, 403);
    node.logged("origin").await?;

    let own = [("origin".to_owned(), node.url())];
    let options = SocketOptions {
        headers: own.to_vec(),
        ..SocketOptions::default()
    };
    Socket::connect(node.address(), "/ws/echo", &options).await?;
    node.connect("/ws/echo").await?;
    Ok(())
}

#[tokio::test]
async fn a_list_of_origins_replaces_the_default() -> Result<()> {
    let cluster = ClusterOptions::new()
        .set("http.origins", "[\".example.com\"]")
        .start()
        .await?;
    let node = &cluster[0];
    let good = [("origin".to_owned(), "https://chat.example.com".to_owned())];
    let options = SocketOptions {
        headers: good.to_vec(),
        ..SocketOptions::default()
    };
    Socket::connect(node.address(), "/ws/echo", &options).await?;
    assert_eq!(
        refused(node, "/ws/echo", "").await?.status,
        403,
        "no Origin at all"
    );
    assert_eq!(
        refused(node, "/ws/echo", "Origin: https://example.org\r\n")
            .await?
            .status,
        403
    );
    Ok(())
}

#[tokio::test]
async fn a_full_node_answers_503_and_has_room_again_once_somebody_leaves() -> Result<()> {
    let cluster = ClusterOptions::new()
        .set("limits.sessions", 2)
        .start()
        .await?;
    let node = &cluster[0];
    let first = node.connect("/ws/echo").await?;
    let _second = node.connect("/ws/echo").await?;
    assert_eq!(refused(node, "/ws/echo", "").await?.status, 503);
    first.close(1000).await?;
    node.metric_when("fanfare_sessions", &[], SOON, |open| open < 2.0)
        .await?;
    node.connect("/ws/echo").await?;
    Ok(())
}

#[tokio::test]
async fn an_illegal_group_made_from_the_path_is_400() -> Result<()> {
    let cluster = ClusterOptions::new().config(GROUP_ROUTE).start().await?;
    let response = refused(&cluster[0], &format!("/g/{}", "x".repeat(256)), "").await?;
    assert_eq!(response.status, 400);
    assert_eq!(error_code(&response)?, "invalid_group");
    cluster[0]
        .connect(&format!("/g/{}", "x".repeat(255)))
        .await?;
    Ok(())
}

#[tokio::test]
async fn access_lines_name_each_step_and_leave_the_query_out() -> Result<()> {
    let cluster = Cluster::memory().await?;
    let node = &cluster[0];
    node.connect("/ws/notifications?user=secret")
        .await?
        .close(1000)
        .await?;
    refused(
        node,
        "/ws/echo?token=secret",
        "Origin: https://evil.example\r\n",
    )
    .await?;
    node.api().get("/?token=secret").await?;
    let steps = |path: &str| {
        let log = node.log();
        let lines = log.lines().filter_map(|line| line.split_once("WebSocket "));
        let lines = lines.filter_map(|(_, line)| line.split_once(&format!(" {path} [127.0.0.1:")));
        lines
            .map(|(step, _)| step.to_owned())
            .collect::<Vec<_>>()
            .join(" ")
    };
    for (path, due) in [
        ("/ws/notifications", "HANDSHAKING CONNECT DISCONNECT"),
        ("/ws/echo", "HANDSHAKING REJECT DISCONNECT"),
    ] {
        eventually(SOON, &format!("{due} of {path}"), async || {
            ensure!(steps(path) == due, "so far: {}", steps(path));
            Ok(Some(()))
        })
        .await?;
    }
    let log = node.logged("HTTP GET / 200 [").await?;
    assert!(!log.contains("secret"), "{log}");
    Ok(())
}
