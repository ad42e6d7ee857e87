//! The end of a node.

use std::time::Duration;

use anyhow::{Result, ensure};
use fanfare_rig::{Node, RawConnection, Socket, within};
use rustix::process::Signal;

use crate::{error, node, shape};

const LIMIT: Duration = Duration::from_secs(20);

/// Ends a node by a signal, which closes these sockets with 1001 and leads to status 0.
pub(super) async fn drained(node: &mut Node, sockets: &mut [Socket]) -> Result<()> {
    node.terminate()?;
    for socket in sockets {
        ensure!(socket.close_code().await? == 1001);
    }
    let status = node.exit_status(LIMIT).await?;
    ensure!(status.code() == Some(0), "{status}");
    Ok(())
}

#[tokio::test]
async fn a_signal_closes_every_session_with_1001_and_the_process_exits_0() -> Result<()> {
    let mut node = node(&["drain.window_ms=500"]).await?;
    let mut sockets = Vec::new();
    for _ in 0..20 {
        sockets.push(node.connect("/ws/chat/lobby/").await?);
    }
    drained(&mut node, &mut sockets).await
}

#[tokio::test]
async fn during_the_grace_a_node_is_not_ready_and_takes_handshakes() -> Result<()> {
    let mut node = node(&["drain.grace_ms=60000"]).await?;
    node.terminate()?;
    node.ready_is(503, LIMIT).await?;
    error(&node.api().get("/health/ready").await?, 503, "draining")?;
    ensure!(node.api().status("/health/live").await == Some(200));
    let mut socket = node.connect("/ws/echo").await?;
    socket.send_text("still here").await?;
    ensure!(socket.text().await? == "still here");
    // A second signal does not wait for the rest of the minute.
    node.terminate()?;
    let status = node.exit_status(LIMIT).await?;
    ensure!(status.code() == Some(1), "{status}");
    Ok(())
}

#[tokio::test]
async fn while_sessions_are_being_closed_new_ones_are_refused() -> Result<()> {
    let mut node = node(&["drain.window_ms=0", "drain.close_ms=60000"]).await?;
    // A client that never answers the close keeps the drain waiting.
    let mut silent = RawConnection::upgrade(node.address(), "/ws/echo").await?;
    node.terminate()?;
    let frame = silent.frame().await?;
    ensure!(
        frame.payload.starts_with(&1001_u16.to_be_bytes()),
        "{frame:?}"
    );
    let mut raw = RawConnection::open(node.address()).await?;
    let request = raw.handshake("/ws/echo", "");
    raw.write(request.as_bytes()).await?;
    let response = raw.response().await?;
    shape(
        &serde_json::from_str(&response.body)?,
        response.status,
        (503, "draining"),
    )?;
    ensure!(response.header("retry-after").is_some(), "{response:?}");
    ensure!(
        response.header("connection") == Some("close"),
        "{response:?}"
    );
    drop(silent);
    let status = within(LIMIT, "the end", node.exit_status(LIMIT)).await??;
    ensure!(status.code() == Some(0), "{status}");
    Ok(())
}

#[tokio::test]
async fn a_signal_without_a_meaning_is_logged_and_ends_nothing() -> Result<()> {
    let mut node = node(&["drain.window_ms=0"]).await?;
    let mut socket = node.connect("/ws/echo").await?;
    for (signal, name) in [
        (Signal::HUP, "SIGHUP"),
        (Signal::USR1, "SIGUSR1"),
        (Signal::USR2, "SIGUSR2"),
        (Signal::ALARM, "SIGALRM"),
    ] {
        node.process().signal(signal)?;
        node.logged(&format!("the signal is ignored signal=\"{name}\""))
            .await?;
    }
    // Nobody can be told that a pipe broke: it shows that the process is still there.
    node.process().signal(Signal::PIPE)?;
    socket.send_text("still here").await?;
    ensure!(socket.text().await? == "still here");
    // They end nothing during the drain either.
    node.terminate()?;
    node.process().signal(Signal::HUP)?;
    ensure!(socket.close_code().await? == 1001);
    let status = node.exit_status(LIMIT).await?;
    ensure!(status.code() == Some(0), "{status}");
    Ok(())
}
