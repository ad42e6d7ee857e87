//! Health checks as balancers send them.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};
use fanfare_rig::{ClusterOptions, Process, ReservedPort, eventually};

use crate::support::SOON;

/// `option httpchk` alone, which sends OPTIONS.
fn configuration(port: u16, node: &str) -> String {
    format!(
        "global\n    log stdout format raw local0\n\
         defaults\n    mode http\n    log global\n    option log-health-checks\n    \
         timeout connect 3s\n    timeout client 10s\n    timeout server 10s\n\
         frontend public\n    bind 127.0.0.1:{port}\n    default_backend nodes\n\
         backend nodes\n    option httpchk /health/ready\n    \
         server node1 {node} check inter 100ms fall 1 rise 1\n"
    )
}

async fn checked(haproxy: &mut Process, text: &str) -> Result<()> {
    eventually(SOON, &format!("a check: {text}"), async || {
        if let Some(status) = haproxy.try_status()? {
            return Ok(Some(Err((status, haproxy.stderr()))));
        }
        Ok(haproxy.stdout().contains(text).then_some(Ok(())))
    })
    .await?
    .or_else(|(status, stderr)| bail!("HAProxy ended: {status}\n{stderr}"))
}

#[tokio::test]
async fn haproxy_checks_with_options_and_sees_the_drain() -> Result<()> {
    let mut cluster = ClusterOptions::new()
        .set("drain.grace_ms", 60_000)
        .start()
        .await?;
    let home = tempfile::tempdir()?;
    let port = ReservedPort::reserve()?;
    let file = home.path().join("haproxy.cfg");
    let node = cluster[0].address().to_string();
    fs::write(&file, configuration(port.number(), &node))?;
    let debian = Path::new("/usr/sbin/haproxy");
    let program = if debian.is_file() {
        debian
    } else {
        "haproxy".as_ref()
    };
    let mut command = Command::new(program);
    command.arg("-db").arg("-f").arg(&file);
    let mut haproxy = Process::spawn("haproxy", command)?;
    checked(
        &mut haproxy,
        "nodes/node1 succeeded, reason: Layer7 check passed, code: 200",
    )
    .await?;
    cluster.signal(rustix::process::Signal::TERM)?;
    checked(
        &mut haproxy,
        "nodes/node1 failed, reason: Layer7 wrong status, code: 503",
    )
    .await?;
    Ok(())
}
