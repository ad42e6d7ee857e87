//! CPU time of the server, of the loader and of everybody else on their cores.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::affinity::Cores;
use crate::pause::poll_until;

const IDLE_WAIT: Duration = Duration::from_secs(3);
const IDLE_STEP: Duration = Duration::from_millis(200);

/// Share of a core that others may take before a run counts as noisy.
pub(crate) const NOISY: f64 = 0.10;

/// CPU counters at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    at: Instant,
    server: Duration,
    loader: Duration,
    mode: Mode,
    server_core: Ticks,
    loader_core: Ticks,
}

/// What happened between two samples.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Usage {
    /// Seconds on the clock.
    pub(crate) wall_s: f64,
    /// Seconds of CPU that the server's threads took.
    pub(crate) server_s: f64,
    /// Seconds of CPU that the loader took.
    pub(crate) loader_s: f64,
    /// Share of the server's time in user space, by the kernel's tick; NaN without a tick.
    pub(crate) user_share: f64,
    /// Share of the busier core that went to other processes or to the hypervisor.
    pub(crate) foreign: f64,
    /// The same of the server's core alone.
    pub(crate) foreign_at_server: f64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Mode {
    user: u64,
    system: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Ticks {
    busy: u64,
    total: u64,
}

impl Sample {
    /// Reads the counters of the server `pid`, of this process and of the two cores.
    ///
    /// # Errors
    /// A file under `/proc` cannot be read: the server is gone, most likely.
    pub(crate) fn take(pid: u32, cores: Cores) -> anyhow::Result<Self> {
        let stat = fs::read_to_string("/proc/stat")?;
        Ok(Self {
            at: Instant::now(),
            server: server_time(pid)?,
            loader: own_time(),
            mode: mode(&fs::read_to_string(format!("/proc/{pid}/stat"))?),
            server_core: core_ticks(&stat, cores.server),
            loader_core: core_ticks(&stat, cores.loader),
        })
    }

    /// What happened since.
    ///
    /// # Errors
    /// As [`Sample::take`].
    pub(crate) fn until_now(&self, pid: u32, cores: Cores) -> anyhow::Result<Usage> {
        let now = Self::take(pid, cores)?;
        let wall_s = now.at.duration_since(self.at).as_secs_f64();
        let server_s = now.server.saturating_sub(self.server).as_secs_f64();
        let loader_s = now.loader.saturating_sub(self.loader).as_secs_f64();
        let user = now.mode.user.saturating_sub(self.mode.user) as f64;
        let system = now.mode.system.saturating_sub(self.mode.system) as f64;
        let server_core = busy_share(self.server_core, now.server_core);
        let loader_core = busy_share(self.loader_core, now.loader_core);
        let (foreign_at_server, foreign) = if cores.shared() {
            let foreign = server_core - (server_s + loader_s) / wall_s;
            (foreign, foreign)
        } else {
            let at_server = server_core - server_s / wall_s;
            (at_server, at_server.max(loader_core - loader_s / wall_s))
        };
        Ok(Usage {
            wall_s,
            server_s,
            loader_s,
            user_share: user / (user + system),
            foreign: foreign.max(0.0),
            foreign_at_server: foreign_at_server.max(0.0),
        })
    }
}

impl Usage {
    /// Whether others took enough of a core to move the figures.
    pub(crate) fn noisy(&self) -> bool {
        self.foreign > NOISY
    }
}

/// Waits, within a bound, until nobody else uses the two cores.
///
/// # Errors
/// `/proc/stat` cannot be read.
pub(crate) fn wait_for_idle(cores: Cores) -> anyhow::Result<()> {
    let mut before: Option<[Ticks; 2]> = None;
    poll_until(IDLE_WAIT, IDLE_STEP, || {
        let stat = fs::read_to_string("/proc/stat")?;
        let now = [
            core_ticks(&stat, cores.server),
            core_ticks(&stat, cores.loader),
        ];
        let idle = before.is_some_and(|before| {
            before
                .iter()
                .zip(now)
                .all(|(before, now)| busy_share(*before, now) <= NOISY)
        });
        before = Some(now);
        Ok(idle)
    })?;
    Ok(())
}

/// Time on a CPU of all threads of a process, in the scheduler's nanoseconds.
fn server_time(pid: u32) -> anyhow::Result<Duration> {
    let mut nanos = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).context("the server has ended")? {
        // A thread may end between the listing and the read.
        if let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) {
            nanos += text.split(' ').next().unwrap_or_default().parse::<u64>()?;
        }
    }
    Ok(Duration::from_nanos(nanos))
}

fn own_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// User and system ticks from `/proc/PID/stat`, the 14th and 15th field.
fn mode(stat: &str) -> Mode {
    // The command name, in parentheses, may hold blanks.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let mut fields = fields
        .split_whitespace()
        .skip(11)
        .map(|field| field.parse().unwrap_or(0));
    Mode {
        user: fields.next().unwrap_or(0),
        system: fields.next().unwrap_or(0),
    }
}

/// The line of one core in `/proc/stat`: user nice system idle iowait irq softirq steal, then
/// guest times that are part of the first two.
fn core_ticks(stat: &str, core: usize) -> Ticks {
    let name = format!("cpu{core}");
    let line = stat.lines().find_map(|line| {
        let (first, rest) = line.split_once(' ')?;
        (first == name).then_some(rest)
    });
    let fields = line.unwrap_or_default().split_whitespace().take(8);
    let mut ticks = Ticks::default();
    for (at, field) in fields.enumerate() {
        let count = field.parse::<u64>().unwrap_or(0);
        ticks.total += count;
        if at != 3 && at != 4 {
            ticks.busy += count;
        }
    }
    ticks
}

fn busy_share(before: Ticks, after: Ticks) -> f64 {
    let total = after.total.saturating_sub(before.total);
    if total == 0 {
        0.0
    } else {
        after.busy.saturating_sub(before.busy) as f64 / total as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "cpu  9 9 9 9 9 9 9 9 0 0\n\
        cpu0 100 1 50 800 40 0 7 2 0 0\ncpu1 5 0 5 90 0 0 0 0 0 0\nintr 1\n";

    #[test]
    fn a_core_is_busy_in_all_but_idle_and_iowait() {
        assert_eq!(
            core_ticks(STAT, 0),
            Ticks {
                busy: 160,
                total: 1000
            }
        );
        assert_eq!(
            core_ticks(STAT, 1),
            Ticks {
                busy: 10,
                total: 100
            }
        );
        assert_eq!(core_ticks(STAT, 7), Ticks::default());
    }

    #[test]
    fn user_and_system_ticks_are_found_behind_a_name_with_blanks() {
        let stat = "7 (a ) b) S 1 1 1 0 -1 0 9 9 9 9 321 654 0 0 20";
        let mode = mode(stat);
        assert_eq!((mode.user, mode.system), (321, 654));
    }

    #[test]
    fn the_cpu_time_of_a_process_that_spins_grows_with_the_time_it_had() {
        let mut spinning = std::process::Command::new("sh")
            .args(["-c", "while :; do :; done"])
            .spawn()
            .unwrap();
        let cores = Cores::choose().unwrap();
        let sample = Sample::take(spinning.id(), cores).unwrap();
        let patience = Instant::now() + Duration::from_secs(10);
        let usage = loop {
            let usage = sample.until_now(spinning.id(), cores).unwrap();
            if usage.server_s > 0.05 || Instant::now() > patience {
                break usage;
            }
        };
        spinning.kill().unwrap();
        spinning.wait().unwrap();
        assert!(usage.server_s > 0.05, "{usage:?}");
        assert!(usage.wall_s > usage.server_s * 0.8, "{usage:?}");
    }
}
