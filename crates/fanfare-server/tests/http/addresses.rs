//! Where clients come from: Unix sockets, and sockets for both families.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use fanfare_rig::{RawConnection, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::node;

const LIMIT: Duration = Duration::from_secs(10);

/// A bind of TCP, whose port the rig finds, and of this socket.
fn bind(socket: &Path) -> String {
    format!("http.bind=['127.0.0.1:0', 'unix:{}']", socket.display())
}

fn mode(socket: &Path) -> Result<u32> {
    Ok(fs::metadata(socket)?.permissions().mode() & 0o777)
}

#[tokio::test]
async fn a_unix_socket_has_the_configured_mode_whatever_the_umask() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let (usual, open) = (
        directory.path().join("usual"),
        directory.path().join("open"),
    );
    let _usual = node(&[&bind(&usual)]).await?;
    ensure!(mode(&usual)? == 0o660, "{:o}", mode(&usual)?);
    let _open = node(&[&bind(&open), "http.socket_mode=0666"]).await?;
    ensure!(mode(&open)? == 0o666, "{:o}", mode(&open)?);
    Ok(())
}

#[tokio::test]
async fn a_process_on_a_unix_socket_names_the_client() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let socket = directory.path().join("f.sock");
    let node = node(&[&bind(&socket)]).await?;
    for (forwarded, client) in [
        (
            "X-Forwarded-For: 198.51.100.1, 203.0.113.9\r\n",
            "203.0.113.9",
        ),
        ("", "unix"),
    ] {
        let mut stream = UnixStream::connect(&socket).await?;
        let request = format!(
            "GET /from-{client} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{forwarded}\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        within(LIMIT, "the answer", stream.read_to_string(&mut answer)).await??;
        let log = node
            .logged(&format!("HTTP GET /from-{client} 404 ["))
            .await?;
        let line = log.lines().find(|line| line.contains("/from-"));
        ensure!(log.contains(&format!(", {client}]")), "{line:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_client_of_a_socket_for_both_families_is_shown_and_trusted_by_its_ipv4_address()
-> Result<()> {
    let node = node(&[
        "http.bind='[::ffff:127.0.0.1]:0'",
        "http.trusted_proxies=127.0.0.0/8",
    ])
    .await?;
    let address = SocketAddr::from(([127, 0, 0, 1], node.address().port()));
    let mut plain = RawConnection::open(address).await?;
    let handshake = plain.handshake("/ws/echo", "");
    plain.write(handshake.as_bytes()).await?;
    node.logged("WebSocket CONNECT /ws/echo [127.0.0.1:")
        .await?;
    let mut proxied = RawConnection::open(address).await?;
    let handshake = proxied.handshake("/ws/echo", "X-Forwarded-For: 203.0.113.9\r\n");
    proxied.write(handshake.as_bytes()).await?;
    let log = node
        .logged("WebSocket CONNECT /ws/echo [203.0.113.9]")
        .await?;
    ensure!(!log.contains("::ffff"), "{log}");
    Ok(())
}
