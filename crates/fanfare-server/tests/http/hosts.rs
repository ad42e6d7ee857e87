//! Which hosts the server answers to, and headers that name one thing twice.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use fanfare_rig::{Node, RawConnection, RawResponse};

use crate::handshake::{expect, refused};
use crate::{node, shape};

/// A plain request with these header lines, each with its CRLF.
async fn ask(node: &Node, target: &str, lines: &str) -> Result<RawResponse> {
    let address = SocketAddr::from(([127, 0, 0, 1], node.address().port()));
    let mut raw = RawConnection::open(address).await?;
    let request = format!("GET {target} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n");
    raw.write(request.as_bytes()).await?;
    raw.response().await
}

fn is(response: &RawResponse, status: u16, code: &str) -> Result<()> {
    let body = serde_json::from_str(&response.body)?;
    shape(&body, response.status, (status, code)).map(drop)
}

/// A handshake for a host.
async fn handshake(node: &Node, host: &str) -> Result<RawResponse> {
    let mut raw = RawConnection::open(node.address()).await?;
    let own = format!("Host: {}\r\n", node.address());
    let request = raw.handshake("/ws/echo", "");
    ensure!(request.contains(&own));
    let request = request.replace(&own, &format!("Host: {host}\r\n"));
    raw.write(request.as_bytes()).await?;
    raw.head().await
}

#[tokio::test]
async fn a_page_whose_name_was_made_to_lead_here_reads_nothing_and_opens_nothing() -> Result<()> {
    let node = node(&[]).await?;
    for path in [
        "/",
        "/metrics",
        "/api/v1/nodes",
        "/static/app.js",
        "/nothing",
    ] {
        let response = ask(&node, path, "Host: rebound.example:8000\r\n").await?;
        is(&response, 421, "host_denied")?;
    }
    let response = handshake(&node, "rebound.example:8000").await?;
    ensure!(response.status == 421, "{response:?}");
    for host in ["localhost:8000", "app.localhost", "127.0.0.1", "[::1]:8000"] {
        let response = ask(&node, "/metrics", &format!("Host: {host}\r\n")).await?;
        ensure!(response.status == 200, "{host}: {response:?}");
        let response = handshake(&node, host).await?;
        ensure!(response.status == 101, "{host}: {response:?}");
    }
    let log = node.logged("refused a request because of its host").await?;
    ensure!(log.contains("rebound.example"), "{log}");
    Ok(())
}

#[tokio::test]
async fn a_balancer_checks_the_health_with_any_host() -> Result<()> {
    let node = node(&["http.hosts=[\"a.example\"]"]).await?;
    for path in ["/health/live", "/health/ready"] {
        for host in ["10.0.0.7:8000", "fanfare"] {
            let response = ask(&node, path, &format!("Host: {host}\r\n")).await?;
            ensure!(response.status == 200, "{response:?}");
        }
    }
    let response = ask(&node, "/health/live/", "Host: fanfare\r\n").await?;
    ensure!(response.status == 421, "{response:?}");
    Ok(())
}

#[tokio::test]
async fn the_list_names_more_hosts_and_so_do_the_origins_of_a_server_on_loopback() -> Result<()> {
    for setting in [
        "http.hosts=['.example.com', 'b.example']",
        "http.origins=['https://.example.com:8443', 'b.example']",
    ] {
        let node = node(&[setting]).await?;
        for (host, status) in [
            ("example.com", 200),
            ("www.example.com:8443", 200),
            ("B.EXAMPLE", 200),
            ("c.b.example", 421),
            ("example.com.rebound.example", 421),
            ("localhost", 200),
        ] {
            let response = ask(&node, "/", &format!("Host: {host}\r\n")).await?;
            ensure!(response.status == status, "{setting} {host}: {response:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_others_can_reach_answers_to_every_host_and_says_so() -> Result<()> {
    let open = node(&["http.bind=0.0.0.0:0"]).await?;
    let response = ask(&open, "/", "Host: www.example.com\r\n").await?;
    ensure!(response.status == 200, "{response:?}");
    open.logged("http.hosts is not set").await?;
    let closed = node(&["http.bind=0.0.0.0:0", "http.hosts=[\"www.example.com\"]"]).await?;
    let response = ask(&closed, "/", "Host: other.example.com\r\n").await?;
    is(&response, 421, "host_denied")?;
    ensure!(!closed.log().contains("http.hosts is not set"));
    Ok(())
}

#[tokio::test]
async fn what_names_one_thing_twice_is_refused() -> Result<()> {
    let node = node(&[]).await?;
    // The parser refuses these.
    for other in ["localhost", "rebound.example"] {
        let lines = format!("Host: localhost\r\nHost: {other}\r\n");
        ensure!(ask(&node, "/", &lines).await?.status == 400);
    }
    for (target, lines) in [
        (
            "/",
            "Host: localhost\r\nOrigin: http://a.com\r\nOrigin: http://localhost\r\n",
        ),
        ("http://rebound.example/", "Host: localhost\r\n"),
        ("http://localhost/", "Host: rebound.example\r\n"),
        ("http://localhost:81/", "Host: localhost\r\n"),
        ("/", "Host: rebound.example@localhost\r\n"),
    ] {
        let response = ask(&node, target, lines).await?;
        is(&response, 400, "bad_header")?;
    }
    let response = ask(&node, "http://localhost/", "Host: localhost:80\r\n").await?;
    ensure!(response.status == 200, "{response:?}");
    let twice = "Origin: http://evil.example\r\nOrigin: http://localhost\r\n";
    expect(&refused(&node, "/ws/echo", twice).await?, 400, "bad_header")
}

#[tokio::test]
async fn a_trusted_proxy_names_the_host_once_and_a_stranger_is_not_asked() -> Result<()> {
    let twice = "Host: localhost\r\nX-Forwarded-Host: a.com\r\nX-Forwarded-Host: b.com\r\n";
    let trusting = node(&["http.trusted_proxies=127.0.0.1"]).await?;
    is(&ask(&trusting, "/", twice).await?, 400, "bad_header")?;
    // A list of clients may stand in several lines.
    let hops = "Host: localhost\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 5.6.7.8\r\n";
    let response = ask(&trusting, "/", hops).await?;
    ensure!(response.status == 200, "{response:?}");
    trusting.logged("5.6.7.8]").await?;
    let response = ask(&node(&[]).await?, "/", twice).await?;
    ensure!(response.status == 200, "{response:?}");
    Ok(())
}
