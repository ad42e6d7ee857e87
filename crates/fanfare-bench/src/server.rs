//! The server under measurement: a child process on its own core.

use std::fmt;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::affinity::Cores;

const START_LIMIT: Duration = Duration::from_secs(20);
const BANNER_BYTES: usize = 64 * 1024;

/// What the product is started with: one worker thread, no logging per session, room for the
/// largest scenario, and no pings, which the loader would not answer and which it would count.
const SETTINGS: [&str; 7] = [
    "http.workers=1",
    "http.bind=127.0.0.1:0",
    "layer.backend=memory",
    "log.access=false",
    "log.level=warn",
    "limits.sessions=15000",
    "ping.interval_ms=3600000",
];

/// The shipped chat route, under another path and with the user of the query.
const USER_ROUTE: &str = r#"routes=[{ path = "/users/{group}", groups = ["{group}"], on_receive = "group_send", event_type = "chat.message", deliver = { "chat.message" = { send = "message" } }, user = { query = "user" } }]"#;

/// No limits by rate: all clients share one address, and a burst is what they measure. An earlier
/// build does not know the keys.
const UNLIMITED: [&str; 4] = [
    "limits.rate.messages_per_second=0",
    "limits.rate.bytes_per_second=0",
    "limits.rate.handshakes_per_second_per_address=0",
    "limits.rate.sessions_per_address=0",
];

/// Which program serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Program {
    /// The product, at this path.
    Fanfare(PathBuf),
    /// The product as a member of a cluster.
    Member {
        /// Its path.
        path: PathBuf,
        /// Settings that come after the ones that all have.
        settings: Vec<String>,
    },
    /// The server of the consumers, at this path; it has the settings in itself.
    Consumers(PathBuf),
    /// The server of the consumers, with its cluster on this Redis.
    ConsumersOnRedis {
        /// Its path.
        path: PathBuf,
        /// The URL of the Redis.
        url: String,
    },
    /// An earlier build of another program.
    Old(Box<Program>),
    /// The limit, in this executable.
    Limit {
        /// All messages of one read in one write for each member.
        coalesce: bool,
    },
}

impl Program {
    /// Whether it has been built.
    ///
    /// # Errors
    /// It is not at its path; the message says how to build it.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        self.command().map(drop)
    }

    /// The same program on this Redis, with sessions whose users are in the query of their path.
    pub(crate) fn with_users_on(self, redis: String) -> Self {
        match self {
            Self::Fanfare(path) => Self::Member {
                path,
                settings: vec![
                    "layer.backend=redis".to_owned(),
                    format!("layer.redis.hosts=[\"{redis}\"]"),
                    USER_ROUTE.to_owned(),
                    "development=true".to_owned(),
                ],
            },
            Self::Consumers(path) => Self::ConsumersOnRedis { path, url: redis },
            Self::Old(program) => Self::Old(Box::new(program.with_users_on(redis))),
            other => other,
        }
    }

    fn command(&self) -> anyhow::Result<Command> {
        match self {
            Self::Fanfare(path) => fanfare(path, &[]),
            Self::Member { path, settings } => fanfare(path, settings),
            Self::Consumers(path) => built(path, "fanfare-benches"),
            Self::ConsumersOnRedis { path, url } => {
                let mut command = built(path, "fanfare-benches")?;
                command.args(["--redis", url]);
                Ok(command)
            }
            Self::Old(program) => program.command(),
            Self::Limit { coalesce } => {
                let mut command = Command::new(own_path()?);
                command.args(["limit", "--bind", "127.0.0.1:0"]);
                if *coalesce {
                    command.arg("--coalesce");
                }
                Ok(command)
            }
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Old(program) => return write!(out, "old {program}"),
            Self::Fanfare(_) | Self::Member { .. } => "fanfare",
            Self::Consumers(_) | Self::ConsumersOnRedis { .. } => "consumers",
            Self::Limit { coalesce: false } => "limit",
            Self::Limit { coalesce: true } => "limit --coalesce",
        })
    }
}

/// The program `name` that lies beside this one.
///
/// # Errors
/// This program does not know its own path.
pub(crate) fn beside(name: &str) -> anyhow::Result<PathBuf> {
    Ok(own_path()?.with_file_name(name))
}

/// The product with [`SETTINGS`], without limits by rate if it has any, and more, of which the last
/// one of a key counts.
fn fanfare(path: &Path, more: &[String]) -> anyhow::Result<Command> {
    let mut command = built(path, "fanfare-server")?;
    command.arg("serve");
    let unlimited = UNLIMITED.into_iter().filter(|setting| knows(path, setting));
    let more = more.iter().map(String::as_str);
    for setting in SETTINGS.into_iter().chain(unlimited).chain(more) {
        command.args(["--set", setting]);
    }
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("FANFARE__") {
            command.env_remove(name);
        }
    }
    Ok(command)
}

/// Whether a build of the product takes a setting.
fn knows(path: &Path, setting: &str) -> bool {
    let mut check = Command::new(path);
    check.args(["check", "--set", setting]);
    let check = check.stdout(Stdio::null()).stderr(Stdio::null()).status();
    check.is_ok_and(|status| status.success())
}

/// The program of a package that has been built to this path.
fn built(path: &Path, package: &str) -> anyhow::Result<Command> {
    if !path.is_file() {
        bail!(
            "no server at {}: build it with `cargo build --release --bins -p {package}`",
            path.display()
        );
    }
    Ok(Command::new(path))
}

fn own_path() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("cannot find this program's own path")
}

/// A running server; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// Kept open: a server that prints again must not fail at it.
    _stdout: ChildStdout,
    addr: SocketAddr,
}

impl Server {
    /// Starts `program` on the server's core and waits for the address that it prints.
    ///
    /// # Errors
    /// The program does not start, ends, or prints no address within 20 seconds.
    pub(crate) fn start(program: &Program, cores: Cores) -> anyhow::Result<Self> {
        let mut command = program.command()?;
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = cores.on_server_core(|| {
            command
                .spawn()
                .with_context(|| format!("cannot start {program}"))
        })?;
        let started = child
            .stdout
            .take()
            .context("the server has no stdout")
            .and_then(|mut stdout| Ok((read_addr(&mut stdout)?, stdout)));
        match started {
            Ok((addr, stdout)) => Ok(Self {
                child,
                _stdout: stdout,
                addr,
            }),
            Err(error) => {
                end(&mut child);
                Err(error.context(format!("{program} did not start")))
            }
        }
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn end(child: &mut Child) {
    // Both fail only when the child has ended already, which is what they are for.
    let _ = child.kill();
    let _ = child.wait();
}

/// Reads stdout until it shows an address, so long as one may still come.
fn read_addr(stdout: &mut ChildStdout) -> anyhow::Result<SocketAddr> {
    let start = Instant::now();
    let mut banner = Vec::new();
    let mut chunk = [0; 4096];
    while banner.len() < BANNER_BYTES {
        let left = START_LIMIT.saturating_sub(start.elapsed());
        let timeout = Timespec::try_from(left)?;
        let ready = poll(&mut [PollFd::new(&*stdout, PollFlags::IN)], Some(&timeout))?;
        if ready == 0 {
            bail!(
                "no address on its stdout within {} s",
                START_LIMIT.as_secs()
            );
        }
        let read = stdout.read(&mut chunk)?;
        if read == 0 {
            bail!("it ended without printing an address");
        }
        banner.extend_from_slice(chunk.get(..read).unwrap_or_default());
        if let Some(addr) = find_addr(&String::from_utf8_lossy(&banner)) {
            return Ok(addr);
        }
    }
    bail!("no address in the first {BANNER_BYTES} bytes of its stdout")
}

/// The first `http://ADDRESS:PORT` that is followed by something, and so is whole.
fn find_addr(banner: &str) -> Option<SocketAddr> {
    banner.split("http://").skip(1).find_map(|rest| {
        let end = rest.find(|at: char| !(at.is_ascii_digit() || at == '.' || at == ':'))?;
        rest.get(..end)?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_a_banner_once_it_is_whole() {
        let banner = "Fanfare 0.1\n  address   http://127.0.0.1:41873/\n  demo http://x/\n";
        assert_eq!(find_addr(banner), Some(([127, 0, 0, 1], 41873).into()));
        assert_eq!(find_addr("limit on http://127.0.0.1:418"), None);
        assert_eq!(
            find_addr("limit on http://127.0.0.1:418\n"),
            Some(([127, 0, 0, 1], 418).into())
        );
    }

    #[test]
    fn a_server_that_is_not_there_is_named_with_what_to_do() {
        let program = Program::Fanfare("/nonexistent/fanfare".into());
        let error = Server::start(&program, Cores::choose().unwrap())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("/nonexistent/fanfare") && error.contains("cargo build"),
            "{error}"
        );
    }
}
