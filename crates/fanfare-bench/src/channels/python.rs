//! Python processes that do what they are told, a line of JSON at a time (`benches/python/`).

use std::io::{Read as _, Write as _};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Bench;
use crate::children::Owned;

const START_LIMIT: Duration = Duration::from_secs(30);

/// One process; dropping it ends it.
#[derive(Debug)]
pub(super) struct Python {
    process: Owned,
    name: &'static str,
    stdin: ChildStdin,
    stdout: ChildStdout,
    /// Read and not yet a whole line.
    partial: Vec<u8>,
}

/// How its layer is made.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    /// `core` or `pubsub`.
    pub(super) backend: &'static str,
    /// The keyword arguments of the layer's class.
    pub(super) options: Value,
}

/// What a consumer says when it has received.
#[derive(Debug, Deserialize)]
pub(super) struct Taken {
    received: usize,
    different: usize,
}

impl Taken {
    /// Whether it is so many events, none of them twice.
    ///
    /// # Errors
    /// It is not.
    pub(super) fn check(&self, events: usize) -> anyhow::Result<()> {
        ensure!(
            self.received == events && self.different == events,
            "of {events} events Python got {self:?}"
        );
        Ok(())
    }
}

impl Python {
    /// Starts a script on the core of the calling thread and waits until it has its layer.
    ///
    /// # Errors
    /// There is no such Python, or it lacks a package; the traceback is on stderr.
    pub(super) fn start(
        bench: &Bench,
        script: &'static str,
        layer: &Layer,
    ) -> anyhow::Result<Self> {
        let start = serde_json::json!({ "backend": layer.backend, "options": layer.options });
        let mut command = Command::new(&bench.python);
        command
            .arg("-B")
            .arg(bench.scripts.join(script))
            .arg(start.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = Owned::spawn(&mut command).context(
            "Python is missing: `cargo xtask setup` makes an environment, --python names another",
        )?;
        let (stdin, stdout) = process.pipes()?;
        let mut python = Self {
            process,
            name: script,
            stdin,
            stdout,
            partial: Vec::new(),
        };
        python.expect("ready", START_LIMIT)?;
        Ok(python)
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Sends a command.
    ///
    /// # Errors
    /// It has ended.
    pub(super) fn tell(&mut self, command: &Value) -> anyhow::Result<()> {
        let line = format!("{command}\n");
        (self.stdin.write_all(line.as_bytes())).with_context(|| format!("{} has ended", self.name))
    }

    /// Waits for the next line that it says.
    ///
    /// # Errors
    /// It ends or says nothing in time, or it is something else than a `T`.
    pub(super) fn answer<T: DeserializeOwned>(&mut self, limit: Duration) -> anyhow::Result<T> {
        let line = self.line(limit).with_context(|| self.name)?;
        serde_json::from_slice(&line)
            .with_context(|| format!("{} said {}", self.name, String::from_utf8_lossy(&line)))
    }

    /// Sends a command and waits for its answer.
    ///
    /// # Errors
    /// As [`Python::tell`] and [`Python::answer`].
    pub(super) fn call<T: DeserializeOwned>(
        &mut self,
        command: &Value,
        limit: Duration,
    ) -> anyhow::Result<T> {
        self.tell(command)?;
        self.answer(limit)
    }

    /// Waits until it says this word.
    ///
    /// # Errors
    /// As [`Python::answer`], or it says another one.
    pub(super) fn expect(&mut self, word: &str, limit: Duration) -> anyhow::Result<()> {
        let said: String = self.answer(limit)?;
        if said != word {
            bail!("{} said {said:?} instead of {word:?}", self.name);
        }
        Ok(())
    }

    fn line(&mut self, limit: Duration) -> anyhow::Result<Vec<u8>> {
        let start = Instant::now();
        let mut chunk = [0; 4096];
        loop {
            if let Some(end) = self.partial.iter().position(|byte| *byte == b'\n') {
                return Ok(self.partial.drain(..=end).collect());
            }
            let timeout = Timespec::try_from(limit.saturating_sub(start.elapsed()))?;
            let stdout = PollFd::new(&self.stdout, PollFlags::IN);
            if poll(&mut [stdout], Some(&timeout))? == 0 {
                bail!("no answer within {} s", limit.as_secs());
            }
            let read = self.stdout.read(&mut chunk)?;
            if read == 0 {
                bail!("it has ended");
            }
            self.partial.extend(chunk.iter().take(read));
        }
    }
}
