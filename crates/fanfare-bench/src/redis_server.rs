//! A private redis-server.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use redis::Connection;

use crate::children::Owned;
use crate::pause::poll_until;

const START_LIMIT: Duration = Duration::from_secs(10);
const STEP: Duration = Duration::from_millis(20);

/// A running redis-server without persistence; dropping it ends it.
#[derive(Debug)]
pub(crate) struct RedisServer {
    process: Owned,
    port: u16,
}

impl RedisServer {
    /// Starts one, on the loader's core, and waits until it answers. A subscriber may lag behind as
    /// far as memory goes: the backlog of a stopped one is what is measured.
    ///
    /// # Errors
    /// There is no redis-server, or it does not come up.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let port = free_port()?;
        let mut command = Command::new("redis-server");
        command
            .args(["-", "--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no"])
            .args(["--client-output-buffer-limit", "pubsub 0 0 0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let process = Owned::spawn(&mut command)
            .context("cannot start redis-server; on Debian, install redis-server")?;
        let mut server = Self { process, port };
        let started = poll_until(START_LIMIT, STEP, || {
            if let Some(status) = server.process.ended()? {
                bail!("redis-server ended on port {port}: {status}");
            }
            Ok(server.connect().is_ok())
        })?;
        if !started {
            bail!("redis-server does not answer on port {port}");
        }
        Ok(server)
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// A connection that answers.
    ///
    /// # Errors
    /// It does not.
    pub(crate) fn connect(&self) -> anyhow::Result<Connection> {
        let mut connection = redis::Client::open(self.url())?.get_connection()?;
        redis::cmd("PING").exec(&mut connection)?;
        Ok(connection)
    }
}

fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}
