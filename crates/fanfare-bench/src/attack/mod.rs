//! Clients that send without pause, in a process of their own and of the lowest priority: they must
//! not take the core from what is measured beside them.

mod clients;

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use rustix::process::nice;

use crate::children::Owned;
use crate::loader::payload::masked_text;
use crate::pause::pause;

/// What each client sends at most, in bytes a second.
const RATE: u64 = 3_000_000;
/// How long the server is under the load before anything is measured.
const WARM_UP: Duration = Duration::from_millis(300);

/// What an attacker sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Attack {
    /// The shortest messages to a session that sends them back.
    Echo,
    /// To one that answers each with a text.
    Reply,
    /// To one that publishes them to its group.
    GroupSend,
    /// Pipelined requests for `/health/live`.
    Health,
    /// Pipelined requests without a key.
    Unauthorized,
    /// Pipelined requests for nothing.
    NotFound,
    /// Pipelined requests for `/metrics`.
    Metrics,
}

impl Attack {
    /// All of them.
    pub(crate) const ALL: [Self; 7] = [
        Self::Echo,
        Self::Reply,
        Self::GroupSend,
        Self::Health,
        Self::Unauthorized,
        Self::NotFound,
        Self::Metrics,
    ];

    /// The session's path; none for plain requests.
    fn session(self, client: usize) -> Option<String> {
        match self {
            Self::Echo => Some("/ws/echo".to_owned()),
            Self::Reply => Some("/room/attack".to_owned()),
            Self::GroupSend => Some(format!("/ws/chat/attack{client}/")),
            Self::Health | Self::Unauthorized | Self::NotFound | Self::Metrics => None,
        }
    }

    /// One message: six bytes, or a request.
    fn message(self) -> Vec<u8> {
        let path = match self {
            Self::Echo | Self::Reply | Self::GroupSend => return masked_text(b""),
            Self::Health => "/health/live",
            Self::Unauthorized => "/api/v1/nodes",
            Self::NotFound => "/nothing",
            Self::Metrics => "/metrics",
        };
        format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").into_bytes()
    }
}

/// What the process of the attackers is started with.
#[derive(Debug, Clone, Args)]
pub(crate) struct Plan {
    /// What they send.
    #[arg(long, value_enum)]
    pub(crate) attack: Attack,
    /// How many there are.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) clients: u16,
    /// The server.
    #[arg(long)]
    pub(crate) address: SocketAddr,
    /// How long they go on at most.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub(crate) seconds: u64,
}

impl Plan {
    /// Starts the attackers; dropping the answer ends them.
    ///
    /// # Errors
    /// They cannot be started.
    pub(crate) fn start(&self) -> anyhow::Result<Owned> {
        let own = std::env::current_exe().context("cannot find this program's own path")?;
        let attack = self.attack.to_possible_value();
        let attack = attack.context("an attack without a name")?;
        let child = Owned::spawn(
            Command::new(own)
                .args(["attack", "--attack", attack.get_name()])
                .args(["--clients", &self.clients.to_string()])
                .args(["--address", &self.address.to_string()])
                .args(["--seconds", &self.seconds.to_string()])
                .stdin(Stdio::null())
                .stdout(Stdio::null()),
        )?;
        pause(WARM_UP);
        Ok(child)
    }
}

/// The process of the attackers.
///
/// # Errors
/// A session is refused.
pub(crate) fn run(plan: &Plan) -> anyhow::Result<()> {
    nice(19).context("cannot lower the priority")?;
    let clients = clients::Clients::connect(plan.attack, plan.clients.into(), plan.address)?;
    let sent = clients.run(RATE, Duration::from_secs(plan.seconds));
    writeln!(std::io::stdout(), "{sent} bytes")?;
    Ok(())
}
