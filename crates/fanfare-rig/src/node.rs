//! One `fanfare` process under test.

use std::ffi::OsStr;
use std::fs;
use std::net::SocketAddr;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::deadline::eventually;
use crate::http::Api;
use crate::metrics::Metrics;
use crate::paths::server_binary;
use crate::process::Process;
use crate::socket::{Socket, SocketOptions};

/// The API key every node of the rig knows.
pub const API_KEY: &str = "test-key-of-the-rig";

const START: Duration = Duration::from_secs(20);
const LOG: Duration = Duration::from_secs(10);

/// A running node; dropping it kills it.
#[derive(Debug)]
pub struct Node {
    process: Process,
    address: SocketAddr,
    api: Api,
    /// Holds the configuration file, if the rig wrote it; goes with the node.
    config: Option<TempDir>,
}

impl Node {
    /// Starts a node with the configuration text and `--set` values, and waits for its banner.
    ///
    /// # Errors
    /// When it ends or stays silent instead.
    pub async fn start<S: AsRef<OsStr>>(name: &str, config: &str, sets: &[S]) -> Result<Self> {
        Self::start_in(name, config, sets, &[]).await
    }

    /// The same with variables of the environment.
    ///
    /// # Errors
    /// As [`Node::start`].
    pub async fn start_in<S: AsRef<OsStr>>(
        name: &str,
        config: &str,
        sets: &[S],
        environment: &[(&str, &OsStr)],
    ) -> Result<Self> {
        let directory = tempfile::tempdir().context("a directory for the configuration")?;
        let file = directory.path().join("fanfare.toml");
        fs::write(&file, config)?;
        let mut command = Command::new(server_binary()?);
        command.arg("--config").arg(&file);
        command.envs(environment.iter().copied());
        for set in sets {
            command.arg("--set").arg(set);
        }
        let mut node = Self::run(name, command).await?;
        node.config = Some(directory);
        Ok(node)
    }

    /// Runs a prepared command, whose configuration knows [`API_KEY`], and waits for its banner.
    ///
    /// # Errors
    /// When it ends or stays silent instead.
    pub async fn run(name: &str, command: Command) -> Result<Self> {
        let mut process = Process::spawn(name, command)?;
        let address = eventually(START, &format!("the banner of {name}"), async || {
            if let Some(status) = process.try_status()? {
                return Ok(Some(Err((status, process.stderr()))));
            }
            Ok(announced(&process.stdout()).map(Ok))
        })
        .await?;
        let address = match address {
            Ok(address) => address,
            Err((status, stderr)) => bail!("{name} ended at its start: {status}\n{stderr}"),
        };
        let api = Api::new(&format!("http://{address}"), API_KEY)?;
        Ok(Self {
            process,
            address,
            api,
            config: None,
        })
    }

    /// A process that was started otherwise, whose configuration knows [`API_KEY`] and which
    /// listens on `address`. Waits until it answers.
    ///
    /// # Errors
    /// When it ends or stays silent instead.
    pub async fn adopt(mut process: Process, address: SocketAddr) -> Result<Self> {
        let api = Api::new(&format!("http://{address}"), API_KEY)?;
        let ended = eventually(START, &format!("an answer of {address}"), async || {
            let ended = process.try_status()?;
            let answers = api.status("/health/live").await.is_some();
            Ok((ended.is_some() || answers).then_some(ended))
        })
        .await?;
        if let Some(status) = ended {
            bail!(
                "{address} ended at its start: {status}\n{}",
                process.stderr()
            );
        }
        Ok(Self {
            process,
            address,
            api,
            config: None,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://host:port`, without a slash behind it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its HTTP side.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        self.process.stderr()
    }

    /// Waits until it has logged `text`, and gives everything that it has logged.
    ///
    /// # Errors
    /// When it has not within ten seconds.
    pub async fn logged(&self, text: &str) -> Result<String> {
        eventually(LOG, &format!("the log has {text:?}"), async || {
            let log = self.log();
            if !log.contains(text) {
                bail!("it is {log}");
            }
            Ok(Some(log))
        })
        .await
    }

    /// Opens a WebSocket on a path of this node.
    ///
    /// # Errors
    /// When the handshake fails.
    pub async fn connect(&self, path: &str) -> Result<Socket> {
        Socket::connect(self.address, path, &SocketOptions::default()).await
    }

    /// Waits until `/health/ready` answers `status`.
    ///
    /// # Errors
    /// When it has not within `limit`.
    pub async fn ready_is(&self, status: u16, limit: Duration) -> Result<()> {
        let what = format!("/health/ready of {} answering {status}", self.address);
        eventually(limit, &what, async || {
            Ok((self.api.status("/health/ready").await == Some(status)).then_some(()))
        })
        .await
    }

    /// Scrapes `/metrics`.
    ///
    /// # Errors
    /// When it does not answer 200.
    pub async fn metrics(&self) -> Result<Metrics> {
        let answer = self.api.get("/metrics").await?;
        if answer.status != 200 {
            bail!("/metrics: {answer:?}");
        }
        Ok(Metrics::new(answer.body))
    }

    /// The sum of the samples called `name` that carry `labels`.
    ///
    /// # Errors
    /// As [`Node::metrics`].
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Result<f64> {
        Ok(self.metrics().await?.sum(name, labels))
    }

    /// Waits until the sum of a metric satisfies `holds`, and gives it.
    ///
    /// # Errors
    /// When it has not within `limit`.
    pub async fn metric_when(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        limit: Duration,
        holds: impl Fn(f64) -> bool,
    ) -> Result<f64> {
        eventually(limit, &format!("{name}{labels:?}"), async || {
            let value = self.metric(name, labels).await?;
            if holds(value) {
                Ok(Some(value))
            } else {
                bail!("it is {value}")
            }
        })
        .await
    }

    /// Asks it to end: SIGTERM.
    ///
    /// # Errors
    /// When it is gone already.
    pub fn terminate(&mut self) -> Result<()> {
        self.process.signal(Signal::TERM)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it has not ended within `limit`.
    pub async fn exit_status(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.process.exit_status(limit).await
    }
}

fn announced(stdout: &str) -> Option<SocketAddr> {
    let (_, rest) = stdout.split_once("http://")?;
    let end = rest.find(|c: char| c.is_whitespace() || c == '/')?;
    rest.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::announced;

    #[test]
    fn the_address_is_read_from_the_banner() {
        let banner = "Fanfare\n  listening  http://127.0.0.1:4711\n  curl http://127.0.0.1:1/x\n";
        assert_eq!(announced(banner), "127.0.0.1:4711".parse().ok());
        assert_eq!(
            announced("  page http://127.0.0.1:4711/\n"),
            "127.0.0.1:4711".parse().ok()
        );
        assert_eq!(announced("half a line http://127.0.0.1:47"), None);
    }
}
