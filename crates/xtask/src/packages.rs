//! The Debian packages the tests need.

use std::process::Command;

use anyhow::{Result, bail};

use crate::backports;
use crate::run::{installed, run, succeeds};

/// Debian 12 has it in its backports.
const VALKEY: &str = "valkey-server";
/// Packages, each with the programs of which any one will do.
const NEEDED: [(&str, &[&str]); 6] = [
    ("redis-server", &["redis-server"]),
    (VALKEY, &[VALKEY]),
    ("haproxy", &["haproxy"]),
    ("nginx", &["nginx"]),
    ("prometheus", &["prometheus"]),
    (
        "chromium",
        &["chromium", "chromium-browser", "google-chrome"],
    ),
];

/// Installs what is missing; touches nothing when all is there.
pub(crate) fn install_missing() -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if !installed("apt-get") {
        bail!("the tests need {list}; there is no apt-get here, so install them by other means");
    }
    run(apt_get()?.arg("update"))?;
    let mut options = Vec::new();
    if missing.contains(&VALKEY) && !backports::available(VALKEY) {
        options.extend(backports::options()?);
        run(apt_get()?.args(&options).arg("update"))?;
    }
    run(apt_get()?
        .args(&options)
        .args(["install", "--yes", "--no-install-recommends"])
        .args(&missing))
}

fn missing() -> Vec<&'static str> {
    let absent = NEEDED
        .iter()
        .filter(|(_, programs)| !programs.iter().any(|name| installed(name)));
    let mut missing: Vec<_> = absent.map(|(package, _)| *package).collect();
    if !succeeds(Command::new("python3").args(["-c", "import ensurepip, venv"])) {
        missing.extend(["python3", "python3-venv"]);
    }
    missing
}

fn apt_get() -> Result<Command> {
    let root = Command::new("id").arg("-u").output()?.stdout.trim_ascii() == b"0";
    if !root && !installed("sudo") {
        bail!(
            "the tests need {}; run as root, or install sudo",
            missing().join(" ")
        );
    }
    let mut command = Command::new(if root { "env" } else { "sudo" });
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]);
    Ok(command)
}
