//! The Python environments of the tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::run::{root, run};

/// The requirements of every environment; those of one stand in a second file.
const COMMON: &str = "requirements.txt";
/// Each environment with its second file: channels_redis runs on many versions of redis-py, whose
/// oldest and newest behave differently.
const ENVIRONMENTS: [(&str, &str); 2] = [
    (".venv", "redis-newest.txt"),
    (".venv-redis5", "redis-5.txt"),
];
/// What Django asks for.
const OLDEST_PYTHON: (u32, u32) = (3, 10);

/// Makes the environments with their pinned requirements; leaves alone what holds them already.
pub(crate) fn make() -> Result<()> {
    let python = python_version()?;
    for (name, own) in ENVIRONMENTS {
        let files = [COMMON, own].map(|file| root().join("tests/python").join(file));
        make_one(&root().join(name), &files, &python)
            .with_context(|| format!("the Python environment {name} is not made"))?;
    }
    Ok(())
}

fn make_one(venv: &Path, files: &[PathBuf], python: &str) -> Result<()> {
    let mut wanted = format!("# {python}\n");
    for file in files {
        let text = fs::read_to_string(file);
        wanted += &text.with_context(|| format!("cannot read {}", file.display()))?;
    }
    // Written last: an environment without it was never finished.
    let stamp = venv.join("requirements.txt");
    if fs::read_to_string(&stamp).is_ok_and(|present| present == wanted) {
        return Ok(());
    }
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(venv))
    .context("python3 makes no environment; on Debian, install python3-venv")?;
    install(venv, files)?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
}

fn install(venv: &Path, files: &[PathBuf]) -> Result<()> {
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet"])
        .arg("--disable-pip-version-check");
    for file in files {
        pip.arg("--requirement").arg(file);
    }
    run(&mut pip).context(
        "pip does not install the requirements; when it reaches no package index, set \
         PIP_INDEX_URL or https_proxy, then run `cargo xtask setup` again",
    )
}

/// What `python3 --version` says. An environment is made anew when that changes.
fn python_version() -> Result<String> {
    let output = Command::new("python3").arg("--version").output();
    let output = output.context("there is no python3; the tests need it, with its module venv")?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let (major, minor) = OLDEST_PYTHON;
    ensure!(
        numbers(&version).is_some_and(|found| found >= OLDEST_PYTHON),
        "python3 is {version:?}; the tests need Python {major}.{minor} or newer on the PATH"
    );
    Ok(version)
}

/// Major and minor version in `Python 3.11.7`.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.strip_prefix("Python ")?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{OLDEST_PYTHON, numbers};

    #[test]
    fn versions_of_python_are_compared_as_numbers() {
        assert_eq!(numbers("Python 3.11.7"), Some((3, 11)));
        assert!(numbers("Python 3.9.2") < Some(OLDEST_PYTHON));
        assert_eq!(numbers("command not found"), None);
    }
}
