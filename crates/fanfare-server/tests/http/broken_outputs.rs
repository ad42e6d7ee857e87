//! A server whose outputs take nothing: it starts, serves and drains all the same.

use std::fs::OpenOptions;
use std::io::{PipeReader, pipe};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fanfare_rig::{API_KEY, Node, Process, ReservedPort, server_binary};
use serde_json::json;

use crate::drain::drained;

const LIMIT: Duration = Duration::from_secs(20);
/// Several times the lines that fit into a pipe.
const CLIENTS: usize = 300;

/// What is wrong with an output.
#[derive(Debug, Clone, Copy)]
enum Broken {
    /// A pipe whose reader has gone.
    Gone,
    /// A pipe that nobody reads.
    Unread,
    /// A file on a disk that is full.
    Full,
}

impl Broken {
    /// The output, and the reader that is to live as long as the process.
    fn open(self) -> Result<(Stdio, Option<PipeReader>)> {
        let (reader, writer) = pipe()?;
        Ok(match self {
            Self::Gone => (writer.into(), None),
            Self::Unread => (writer.into(), Some(reader)),
            Self::Full => {
                let full = OpenOptions::new().write(true).open("/dev/full")?;
                (full.into(), None)
            }
        })
    }
}

/// A server with these outputs; one that is not given goes to a file.
async fn start(format: &str, out: Option<Stdio>, log: Option<Stdio>) -> Result<Node> {
    let port = ReservedPort::reserve()?;
    let address = SocketAddr::from(([127, 0, 0, 1], port.number()));
    let mut command = Command::new(server_binary()?);
    for set in [
        format!("http.bind={address}"),
        format!("api.keys=['{API_KEY}']"),
        format!("log.format={format}"),
        "log.level=debug".to_owned(),
        "drain.window_ms=0".to_owned(),
    ] {
        command.arg("--set").arg(set);
    }
    Node::adopt(Process::spawn_into("node", command, out, log)?, address).await
}

/// A server with this output for both streams, from its start over a load to the end of its drain.
async fn serves(broken: Broken, format: &str) -> Result<()> {
    let (out, _printed) = broken.open()?;
    let (log, _logged) = broken.open()?;
    let mut node = start(format, Some(out), Some(log)).await?;
    let mut sockets = Vec::new();
    for client in 0..CLIENTS {
        sockets.push(node.connect("/ws/chat/lobby/").await?);
        node.api()
            .publish_group("chat_lobby", &json!({ "type": "n", "n": client }))
            .await?;
    }
    let socket = sockets.last_mut().context("a socket")?;
    ensure!(socket.text().await?.contains("299"));
    let lost = node.metric("fanfare_log_lines_lost_total", &[]).await?;
    match broken {
        Broken::Gone | Broken::Full => ensure!(lost > 600.0, "{lost}"),
        // What the pipe does not take still fits into the queue.
        Broken::Unread => ensure!(lost == 0.0, "{lost}"),
    }
    drained(&mut node, &mut sockets).await
}

#[tokio::test]
async fn pipes_whose_readers_have_gone_cost_log_lines_only() -> Result<()> {
    for format in ["text", "json"] {
        serves(Broken::Gone, format).await.context(format)?;
    }
    Ok(())
}

#[tokio::test]
async fn pipes_that_nobody_reads_cost_log_lines_only() -> Result<()> {
    for format in ["text", "json"] {
        serves(Broken::Unread, format).await.context(format)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_full_disk_costs_log_lines_only() -> Result<()> {
    for format in ["text", "json"] {
        serves(Broken::Full, format).await.context(format)?;
    }
    Ok(())
}

#[tokio::test]
async fn the_last_lines_are_written_before_the_process_ends() -> Result<()> {
    for format in ["text", "json"] {
        let mut node = start(format, None, None).await?;
        node.terminate()?;
        ensure!(node.exit_status(LIMIT).await?.code() == Some(0));
        let log = node.log();
        let last = log.lines().last().unwrap_or_default();
        ensure!(last.contains("drained"), "{format}: {log}");
    }
    Ok(())
}
