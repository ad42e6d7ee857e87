//! A child process whose output is kept and which never outlives its owner.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use tempfile::TempDir;

use crate::deadline::eventually;

const SHOWN_LINES: usize = 60;

/// A running child. Dropping it kills it and prints the end of its output, which the test harness
/// shows when the test fails.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    /// Holds `stdout` and `stderr`; goes with the process.
    output: TempDir,
}

impl Process {
    /// Starts `command` with both outputs going to files.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn spawn(name: &str, command: Command) -> Result<Self> {
        Self::spawn_into(name, command, None, None)
    }

    /// Starts `command` with outputs of the caller's. An output that is not given goes to a file.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn spawn_into(
        name: &str,
        mut command: Command,
        stdout: Option<Stdio>,
        stderr: Option<Stdio>,
    ) -> Result<Self> {
        let output = tempfile::tempdir().context("a directory for the output")?;
        let kept = File::create(output.path().join("stdout"))?;
        let stdout = stdout.unwrap_or_else(|| kept.into());
        let kept = File::create(output.path().join("stderr"))?;
        let stderr = stderr.unwrap_or_else(|| kept.into());
        let child = command
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .with_context(|| format!("starting {name}: {command:?}"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            output,
        })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything written to stdout so far.
    pub fn stdout(&self) -> String {
        read(self.output.path().join("stdout"))
    }

    /// Everything written to stderr so far.
    pub fn stderr(&self) -> String {
        read(self.output.path().join("stderr"))
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} has ended before {signal:?}: {status}", self.name);
        }
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.context("a process id")?;
        kill_process(pid, signal).with_context(|| format!("{signal:?} to {}", self.name))
    }

    /// Asks it to end: SIGTERM.
    ///
    /// # Errors
    /// As [`Process::signal`].
    pub fn terminate(&mut self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Ends it at once, with SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        // Fails only when it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn try_status(&mut self) -> Result<Option<ExitStatus>> {
        self.child
            .try_wait()
            .with_context(|| format!("waiting for {}", self.name))
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// When it has not ended within `limit`.
    pub async fn exit_status(&mut self, limit: Duration) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        eventually(limit, &what, async || self.try_status()).await
    }

    /// Resident memory in bytes.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn resident_bytes(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&path).with_context(|| path.clone())?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line
            .and_then(|line| line.split_whitespace().next())
            .context("VmRSS")?;
        Ok(kib.parse::<u64>()? * 1024)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        for (stream, text) in [("stdout", self.stdout()), ("stderr", self.stderr())] {
            let lines: Vec<&str> = text.lines().collect();
            let tail = lines
                .get(lines.len().saturating_sub(SHOWN_LINES)..)
                .unwrap_or_default();
            if !tail.is_empty() {
                eprintln!("--- {} {stream} ---\n{}", self.name, tail.join("\n"));
            }
        }
    }
}

fn read(path: PathBuf) -> String {
    fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

/// Raises this process's soft limit of open descriptors to the hard one, and says what that is.
pub fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    // Refused only where the limit is fixed from outside; what counts is the answer below.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
