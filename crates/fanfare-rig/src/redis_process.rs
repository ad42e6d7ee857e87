//! A process of Redis or Valkey: started, awaited by what it logs, gone with its value.

use std::io::{BufRead as _, BufReader, ErrorKind};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use redis::{AsyncConnectionConfig, ConnectionInfo};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::runtime;
use tokio::time::timeout;

const START_LIMIT: Duration = Duration::from_secs(10);

/// Which program serves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Program {
    /// redis-server.
    #[default]
    Redis,
    /// valkey-server.
    Valkey,
}

/// A running server process; killed on drop.
#[derive(Debug)]
pub(crate) struct RedisProcess(Child);

impl Program {
    /// A command line that begins with the program.
    pub(crate) fn command(self) -> Command {
        Command::new(self.name())
    }

    fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis-server",
            Self::Valkey => "valkey-server",
        }
    }

    /// The line that installs it.
    fn install(self) -> &'static str {
        match self {
            Self::Redis => "apt-get install redis-server",
            Self::Valkey => {
                "cargo xtask setup, or apt-get install valkey-server where the release has it"
            }
        }
    }

    /// Starts what [`Program::command`] began and waits until it logs `ready` (in lower case).
    pub(crate) fn start(self, mut command: Command, ready: &str) -> anyhow::Result<RedisProcess> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let name = self.name();
        let child = command.spawn().map_err(|error| match error.kind() {
            ErrorKind::NotFound => {
                anyhow::anyhow!("{name} is not on the PATH; install it: {}", self.install())
            }
            _ => anyhow::Error::new(error).context(format!("{name} does not start")),
        })?;
        let mut process = RedisProcess(child);
        let log = process.0.stdout.take().context("no standard output")?;
        await_line(log, ready).context(name)?;
        Ok(process)
    }
}

impl RedisProcess {
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// SIGSTOP, and waits for it.
    pub(crate) fn pause(&self) -> anyhow::Result<()> {
        let pid = Pid::from_child(&self.0);
        kill_process(pid, Signal::STOP)?;
        // The signal is delivered later than the call returns; wait for the stop itself.
        waitid(WaitId::Pid(pid), WaitIdOptions::STOPPED)?;
        Ok(())
    }

    /// SIGCONT.
    pub(crate) fn resume(&self) -> anyhow::Result<()> {
        Ok(kill_process(Pid::from_child(&self.0), Signal::CONT)?)
    }
}

impl Drop for RedisProcess {
    fn drop(&mut self) {
        // Both fail only when the process is gone, which is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One command over a connection of its own; blocks for the answer. Not with a blocking socket: a
/// read that has a limit is ended by any signal, such as that of another child's end.
pub(crate) fn ask(info: ConnectionInfo, words: &[&str]) -> anyhow::Result<redis::Value> {
    let answer = async {
        let client = redis::Client::open(info)?;
        let (name, arguments) = words.split_first().context("no command")?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None);
        let connection = client.get_multiplexed_async_connection_with_config(&config);
        let mut command = redis::cmd(name);
        command.arg(arguments);
        Ok(command.query_async(&mut connection.await?).await?)
    };
    // On a thread of its own, because the caller's may run a runtime already.
    let asking = || {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime
            .block_on(async { timeout(START_LIMIT, answer).await })
            .with_context(|| format!("no answer within {START_LIMIT:?}"))?
    };
    match thread::scope(|scope| scope.spawn(asking).join()) {
        Ok(answer) => answer,
        Err(_) => bail!("asking panicked"),
    }
}

/// Reads the log until the server says that it is ready; the rest is drained in a thread, because
/// a full pipe would stop the server.
fn await_line(log: ChildStdout, ready: &str) -> anyhow::Result<()> {
    let (lines, seen) = mpsc::sync_channel(64);
    thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            // Nobody listens any more once the server is ready.
            let _ = lines.try_send(line);
        }
    });
    let deadline = Instant::now() + START_LIMIT;
    let mut said = String::new();
    loop {
        match seen.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) if line.to_lowercase().contains(ready) => {
                return Ok(());
            }
            Ok(line) => {
                said.push_str(&line);
                said.push('\n');
            }
            Err(RecvTimeoutError::Disconnected) => bail!("it ended at once, saying:\n{said}"),
            Err(RecvTimeoutError::Timeout) => {
                bail!("not ready after {START_LIMIT:?}, saying:\n{said}")
            }
        }
    }
}
