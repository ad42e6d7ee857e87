//! An unmodified `channels_redis` layer, in a Python process of its own.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::deadline::within;
use crate::paths::project_root;

const LIMIT: Duration = Duration::from_secs(30);

/// A Python process that holds one `RedisPubSubChannelLayer` and does what it is told, a line of
/// JSON at a time (`tests/python/layer.py`). Dropping it kills it.
#[derive(Debug)]
pub struct PythonLayer {
    _child: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl PythonLayer {
    /// Starts it on these Redis hosts, with the layer's default prefix.
    ///
    /// # Errors
    /// When the virtual environment is missing; the message says how to make it.
    pub async fn start(hosts: &[&str]) -> Result<Self> {
        let python = project_root().join(".venv/bin/python");
        if !python.is_file() {
            bail!("{} is missing: run `cargo xtask setup`", python.display());
        }
        let mut child = Command::new(python)
            .arg(project_root().join("tests/python/layer.py"))
            .arg(json!({ "hosts": hosts }).to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting Python")?;
        let stdin = child.stdin.take().context("Python's stdin")?;
        let stdout = child.stdout.take().context("Python's stdout")?;
        let mut layer = Self {
            _child: child,
            stdin,
            stdout: BufReader::new(stdout).lines(),
        };
        layer.answer().await.context("the layer in Python")?;
        Ok(layer)
    }

    /// Publishes an event to a group.
    ///
    /// # Errors
    /// When Python raises.
    pub async fn group_send(&mut self, group: &str, event: &Value) -> Result<()> {
        self.call(&json!({"do": "group_send", "group": group, "event": event}))
            .await
            .map(drop)
    }

    /// Sends an event to a channel.
    ///
    /// # Errors
    /// When Python raises.
    pub async fn send(&mut self, channel: &str, event: &Value) -> Result<()> {
        self.call(&json!({"do": "send", "channel": channel, "event": event}))
            .await
            .map(drop)
    }

    /// Makes a channel of this process and adds it to a group.
    ///
    /// # Errors
    /// When Python raises.
    pub async fn join(&mut self, group: &str) -> Result<String> {
        let channel = self.call(&json!({"do": "new_channel"})).await?;
        let channel = channel.as_str().context("a channel name")?.to_owned();
        self.call(&json!({"do": "group_add", "group": group, "channel": channel}))
            .await?;
        Ok(channel)
    }

    /// The next event of a channel of this process.
    ///
    /// # Errors
    /// When Python raises or nothing comes.
    pub async fn receive(&mut self, channel: &str) -> Result<Value> {
        self.call(&json!({"do": "receive", "channel": channel}))
            .await
    }

    /// Sends an event that is written as a Python expression: for values that JSON lacks.
    ///
    /// # Errors
    /// When Python raises.
    pub async fn group_send_python(&mut self, group: &str, expression: &str) -> Result<()> {
        let command = json!({"do": "group_send", "group": group, "python": expression});
        self.call(&command).await.map(drop)
    }

    async fn call(&mut self, command: &Value) -> Result<Value> {
        self.stdin
            .write_all(format!("{command}\n").as_bytes())
            .await
            .context("Python is gone")?;
        self.stdin.flush().await?;
        self.answer().await.with_context(|| command.to_string())
    }

    async fn answer(&mut self) -> Result<Value> {
        let line = within(LIMIT, "Python's answer", self.stdout.next_line()).await??;
        let mut line: Value = serde_json::from_str(&line.context("Python has ended")?)?;
        if let Some(error) = line.get("error") {
            bail!("Python: {error}");
        }
        Ok(line.get_mut("ok").map(Value::take).unwrap_or_default())
    }
}
