//! Where the server's time goes, sampled by `perf`.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::pause::{pause, poll_until};

const SAMPLES_PER_SECOND: &str = "5000";
const START_LIMIT: Duration = Duration::from_secs(5);
const STEP: Duration = Duration::from_millis(20);
/// From the creation of its file until perf has opened its counters.
const ATTACH: Duration = Duration::from_millis(300);
/// Addresses from here on are the kernel's, on every 64-bit Linux.
const KERNEL: u64 = 1 << 63;

/// A running `perf record`; dropping it ends perf and removes its file.
pub(crate) struct Recording {
    child: Child,
    file: PathBuf,
}

impl Recording {
    /// Starts sampling all threads of a process.
    ///
    /// # Errors
    /// There is no `perf`, or it may not sample.
    pub(crate) fn start(pid: u32) -> anyhow::Result<Self> {
        let file = std::env::temp_dir().join(format!("fanfare-bench-{pid}.perf"));
        let child = Command::new("perf")
            .args([
                "record",
                "-q",
                "-e",
                "cpu-clock",
                "-F",
                SAMPLES_PER_SECOND,
                "-p",
            ])
            .arg(pid.to_string())
            .arg("-o")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start perf; leave --perf out to use the kernel's tick")?;
        let mut recording = Self { child, file };
        let started = poll_until(START_LIMIT, STEP, || {
            if let Some(status) = recording.child.try_wait()? {
                bail!("perf may not sample: {status}");
            }
            Ok(recording.file.exists())
        })?;
        if !started {
            bail!("perf does not start to record");
        }
        pause(ATTACH);
        Ok(recording)
    }

    /// Ends sampling; the share of samples that lie in user space.
    ///
    /// # Errors
    /// Perf took no sample, or none in the kernel, which means that it may not see it.
    pub(crate) fn user_share(mut self) -> anyhow::Result<f64> {
        kill_process(Pid::from_child(&self.child), Signal::INT)?;
        self.child.wait()?;
        let script = Command::new("perf")
            .args(["script", "-F", "ip", "-i"])
            .arg(&self.file)
            .output()
            .context("cannot run perf script")?;
        let (user, kernel) = count(&String::from_utf8_lossy(&script.stdout));
        if kernel == 0 {
            bail!("perf took {user} samples in user space and none in the kernel");
        }
        Ok(user as f64 / (user + kernel) as f64)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        // All three fail only when there is nothing left to end or to remove.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.file);
    }
}

/// Samples in user space and in the kernel, from one address a line.
fn count(script: &str) -> (u64, u64) {
    let addresses = script
        .lines()
        .filter_map(|line| u64::from_str_radix(line.trim(), 16).ok());
    addresses.fold((0, 0), |(user, kernel), address| {
        if address >= KERNEL {
            (user, kernel + 1)
        } else {
            (user + 1, kernel)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_told_apart_by_their_address() {
        let script =
            "    7f7d12345678\n ffffffff8a000010\n    556b00000001\n\nffff800000000000\nx\n";
        assert_eq!(count(script), (2, 2));
    }
}
