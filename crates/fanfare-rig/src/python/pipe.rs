//! A Python process, and lines of JSON to it and from it.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::error::PythonError;
use super::options::RedisPy;
use crate::deadline::within;
use crate::paths::project_root;

/// How much of a command a failure shows.
const SHOWN: usize = 300;

/// The process; killed on drop.
#[derive(Debug)]
pub(super) struct Pipe {
    _child: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Pipe {
    /// Starts a program of `tests/python` with one argument.
    pub(super) fn start(python: RedisPy, program: &str, argument: &Value) -> Result<Self> {
        let mut child = Command::new(python.interpreter()?)
            .arg(project_root().join("tests/python").join(program))
            .arg(argument.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting Python")?;
        let stdin = child.stdin.take().context("Python's stdin")?;
        let stdout = child.stdout.take().context("Python's stdout")?;
        Ok(Self {
            _child: child,
            stdin,
            stdout: BufReader::new(stdout).lines(),
        })
    }

    /// Writes a command and reads its answer.
    pub(super) async fn call(&mut self, command: &Value, limit: Duration) -> Result<Value> {
        let mut line = command.to_string();
        line.push('\n');
        let written = self.stdin.write_all(line.as_bytes());
        written.await.context("Python is gone")?;
        self.stdin.flush().await.context("Python is gone")?;
        self.answer(limit)
            .await
            .with_context(|| line.chars().take(SHOWN).collect::<String>())
    }

    /// The result in the next answer.
    pub(super) async fn answer(&mut self, limit: Duration) -> Result<Value> {
        let mut answer = self.line(limit).await?;
        if let Some(error) = answer.get("error") {
            return Err(PythonError::of(error).into());
        }
        Ok(answer.get_mut("ok").map(Value::take).unwrap_or_default())
    }

    /// The next line, whatever it is.
    pub(super) async fn line(&mut self, limit: Duration) -> Result<Value> {
        let line = within(limit, "a line from Python", self.stdout.next_line()).await??;
        let line = line.context("Python has ended")?;
        serde_json::from_str(&line).with_context(|| format!("no JSON from Python: {line}"))
    }
}
