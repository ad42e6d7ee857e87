//! What a newcomer does: the README's first command, in a fresh clone.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use crate::run::{root, run};

const DEFAULT_ADDRESS: &str = "127.0.0.1:8000";
const ANSWER: Duration = Duration::from_secs(10);

/// Clones the project, runs the README's first command there and asks it for `/`.
pub(crate) fn check() -> Result<()> {
    let home = TempDir::new()?;
    let clone = home.path().join("fanfare");
    run(Command::new("git")
        .args(["clone", "--quiet"])
        .arg(root())
        .arg(&clone))?;
    let command = first_command(&clone)?;
    eprintln!("$ {command}");
    let mut server = Server::start(&clone, &command)?;
    let page = get(&server.await_banner()?)?;
    ensure!(page.starts_with("HTTP/1.1 200"), "no 200 on /: {page}");
    ensure!(page.contains("<html"), "no page on /: {page}");
    server.stop()?;
    println!("newcomer: `{command}` answers on /: 1 passed, 0 failed");
    Ok(())
}

/// The first line of the README's first block of shell commands.
fn first_command(clone: &Path) -> Result<String> {
    let readme = fs::read_to_string(clone.join("README.md")).context("reading README.md")?;
    let (_, block) = readme
        .split_once("```sh\n")
        .context("a ```sh block in README.md")?;
    let line = block.lines().next().context("a command in README.md")?;
    let command = line
        .split_once('#')
        .map_or(line, |(command, _)| command)
        .trim();
    ensure!(
        command.starts_with("cargo run"),
        "README.md starts with `{command}`"
    );
    // Anyone may hold the port of the documentation; the command is the same but for that.
    let free = TcpListener::bind(DEFAULT_ADDRESS).is_ok();
    let elsewhere = if free {
        ""
    } else {
        " -- --set http.bind=127.0.0.1:0"
    };
    Ok(format!("{command}{elsewhere}"))
}

/// The command, in a process group of its own, killed with it.
struct Server {
    child: Child,
    group: Pid,
}

impl Server {
    fn start(directory: &Path, command: &str) -> Result<Self> {
        let mut words = command.split_whitespace();
        let program = words.next().context("an empty command")?;
        let child = Command::new(program)
            .args(words)
            .current_dir(directory)
            .env_remove("CARGO_TARGET_DIR")
            .process_group(0)
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {command}"))?;
        let group = i32::try_from(child.id())
            .ok()
            .and_then(Pid::from_raw)
            .context("a pid")?;
        Ok(Self { child, group })
    }

    /// Shows what it prints until an address stands there. CI's own limit bounds the wait: it
    /// contains a build, whose length nobody knows.
    fn await_banner(&mut self) -> Result<String> {
        let stdout = self.child.stdout.take().context("its stdout")?;
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            println!("{line}");
            if let Some((_, rest)) = line.split_once("http://") {
                let end = rest
                    .find(|c: char| c.is_whitespace() || c == '/')
                    .unwrap_or(rest.len());
                return Ok(rest.get(..end).unwrap_or(rest).to_owned());
            }
        }
        bail!("it ended without a banner: {}", self.child.wait()?)
    }

    fn stop(&mut self) -> Result<()> {
        kill_process_group(self.group, Signal::TERM)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "it did not end well: {status}");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            // Fails only when the group is gone already.
            let _ = kill_process_group(self.group, Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

fn get(address: &str) -> Result<String> {
    let mut stream =
        TcpStream::connect(address).with_context(|| format!("connecting {address}"))?;
    stream.set_read_timeout(Some(ANSWER))?;
    write!(
        stream,
        "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut page = Vec::new();
    stream.read_to_end(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}
