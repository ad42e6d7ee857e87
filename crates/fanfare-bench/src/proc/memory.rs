//! Resident memory, once it has come to rest.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;

use crate::pause::poll_until;

const STEP: Duration = Duration::from_millis(100);
const LIMIT: Duration = Duration::from_secs(20);
/// Reads in a row that must agree.
const QUIET_READS: u32 = 10;
/// Change between two reads that still counts as rest, in KiB.
const QUIET_KIB: u64 = 16;

/// Resident KiB of a process, exactly: the counters of `/proc/PID/status` are kept per thread and
/// lag behind, `smaps_rollup` walks the page tables.
///
/// # Errors
/// The process is gone or belongs to somebody else.
pub(crate) fn resident_kib(pid: u32) -> anyhow::Result<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
        .with_context(|| format!("cannot read the memory of process {pid}"))?;
    parse_rss(&rollup).context("no Rss line in smaps_rollup")
}

/// Resident KiB after it has stood still for a second; whether it did within the bound.
///
/// # Errors
/// As [`resident_kib`].
pub(crate) fn settled_kib(pid: u32) -> anyhow::Result<(u64, bool)> {
    let mut last = resident_kib(pid)?;
    let mut quiet = 0;
    let settled = poll_until(LIMIT, STEP, || {
        let now = resident_kib(pid)?;
        quiet = if now.abs_diff(last) <= QUIET_KIB {
            quiet + 1
        } else {
            0
        };
        last = now;
        Ok(quiet >= QUIET_READS)
    })?;
    Ok((last, settled))
}

fn parse_rss(rollup: &str) -> Option<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rss_line_is_read_in_kib() {
        let rollup = "5580-7ffd ---p 00000000 00:00 0  [rollup]\nRss:    1936 kB\nPss:  300 kB\n";
        assert_eq!(parse_rss(rollup), Some(1936));
        assert_eq!(parse_rss("Pss: 3 kB"), None);
    }

    #[test]
    fn memory_that_is_touched_becomes_resident() {
        let before = resident_kib(std::process::id()).unwrap();
        let block = vec![1_u8; 32 << 20];
        let after = resident_kib(std::process::id()).unwrap();
        assert!(after >= before + 30_000, "{before} {after} {}", block.len());
    }
}
