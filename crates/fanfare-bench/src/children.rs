//! Processes that belong to this one.

use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};

/// A child; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Owned {
    child: Child,
}

impl Owned {
    /// Starts it.
    ///
    /// # Errors
    /// The program cannot be started.
    pub(crate) fn spawn(command: &mut Command) -> anyhow::Result<Self> {
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        Ok(Self { child })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Both ends of its pipes, once.
    ///
    /// # Errors
    /// They were not piped, or taken before.
    pub(crate) fn pipes(&mut self) -> anyhow::Result<(ChildStdin, ChildStdout)> {
        let stdin = self.child.stdin.take().context("stdin is no pipe")?;
        let stdout = self.child.stdout.take().context("stdout is no pipe")?;
        Ok((stdin, stdout))
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// The system does not say.
    pub(crate) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // Both fail only when it has ended already, which is what they are for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process that stands still until this is dropped, which its owner outlives.
#[derive(Debug)]
pub(crate) struct Stopped {
    pid: Pid,
}

impl Stopped {
    /// Stops a running child of this process, with SIGSTOP.
    ///
    /// # Errors
    /// It is gone.
    pub(crate) fn stop(pid: u32) -> anyhow::Result<Self> {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let pid = pid.context("no process id")?;
        kill_process(pid, Signal::STOP).context("cannot stop the process")?;
        Ok(Self { pid })
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // Fails only when it is gone; then what waits for it says so.
        let _ = kill_process(self.pid, Signal::CONT);
    }
}
