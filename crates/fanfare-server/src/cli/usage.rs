//! The arguments.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand};

use super::exit;

/// Real-time server: WebSocket sessions, groups, and events from anywhere.
#[derive(Debug, Parser)]
#[command(name = "fanfare", version, after_help = exit::TABLE)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

/// What every command takes, before or after its name.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Common {
    /// TOML file with the keys that differ from the defaults
    #[arg(long, value_name = "FILE", overrides_with = "config")]
    pub(super) config: Option<PathBuf>,
    /// Set one key, such as http.bind=0.0.0.0:8000; repeatable, the last one of a key wins
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) sets: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the server; so does no command at all
    Serve(Common),
    /// Check the configuration and list everything that is wrong with it
    Check(Check),
    /// Ask a running server whether it is ready: exit status 0 or 1
    Health(Health),
    /// Publish an event
    Publish(Publish),
    /// Print every event of a group as it is published, one JSON object a line (Redis only)
    Tail(Tail),
    /// List the nodes
    Nodes(Nodes),
}

#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    pub(super) common: Common,
    /// Print the merged configuration as TOML, secrets masked
    #[arg(long)]
    pub(super) print: bool,
}

#[derive(Debug, Args)]
pub(super) struct Health {
    #[command(flatten)]
    pub(super) common: Common,
    /// The server, if not the one configured: http://HOST:PORT or unix:/path
    #[arg(long)]
    pub(super) url: Option<String>,
}

/// Where the HTTP API is.
#[derive(Debug, Args)]
pub(super) struct Api {
    /// The server, if not the one configured: http://HOST:PORT or unix:/path
    #[arg(long)]
    pub(super) url: Option<String>,
    /// A key of the HTTP API, if not the first one of api.keys
    #[arg(long)]
    pub(super) key: Option<String>,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("target").required(true)))]
pub(super) struct Publish {
    #[command(flatten)]
    pub(super) common: Common,
    /// To the members of a group
    #[arg(long, group = "target")]
    pub(super) group: Option<String>,
    /// To one session
    #[arg(long, group = "target")]
    pub(super) channel: Option<String>,
    /// To every session of a user
    #[arg(long, group = "target")]
    pub(super) user: Option<String>,
    /// To every session
    #[arg(long, group = "target")]
    pub(super) all: bool,
    /// Leave out this channel; repeatable
    #[arg(long, value_name = "CHANNEL")]
    pub(super) exclude: Vec<String>,
    #[command(flatten)]
    pub(super) api: Api,
    /// The event, a JSON object with a "type"; "-" reads it from standard input
    pub(super) json: String,
}

#[derive(Debug, Args)]
pub(super) struct Tail {
    #[command(flatten)]
    pub(super) common: Common,
    /// The group
    #[arg(long)]
    pub(super) group: String,
}

#[derive(Debug, Args)]
pub(super) struct Nodes {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(flatten)]
    pub(super) api: Api,
}

impl Default for Command {
    fn default() -> Self {
        Self::Serve(Common::default())
    }
}

impl Common {
    /// Whether each `--set` is an assignment. The message of the parser would show the text, which
    /// may be a secret.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let is_assignment = |set: &String| {
            let (key, _) = set.split_once('=').unwrap_or_default();
            !key.trim().is_empty()
        };
        match self.sets.iter().all(is_assignment) {
            true => Ok(()),
            false => Err("--set: expected KEY=VALUE, such as http.bind=0.0.0.0:8000"),
        }
    }

    /// What stood before the command, covered by what stood after it.
    pub(super) fn followed_by(&self, later: &Self) -> Self {
        Self {
            config: later.config.clone().or_else(|| self.config.clone()),
            sets: self.sets.iter().chain(&later.sets).cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_stands_after_the_command_covers_what_stands_before() {
        let line = [
            "fanfare", "--config", "a", "--set", "x=1", "check", "--set", "x=2",
        ];
        let cli = Cli::try_parse_from(line).expect("parses");
        let Some(Command::Check(check)) = cli.command else {
            panic!("no check")
        };
        let common = cli.common.followed_by(&check.common);
        assert_eq!(common.sets, ["x=1", "x=2"]);
        assert_eq!(common.config, Some(PathBuf::from("a")));
    }

    #[test]
    fn publish_has_exactly_one_target() {
        let parse = |arguments: &[&str]| {
            let line = ["fanfare", "publish"].iter().chain(arguments);
            Cli::try_parse_from(line).is_ok()
        };
        assert!(parse(&["--all", "{}"]));
        assert!(parse(&[
            "--group",
            "g",
            "--exclude",
            "a",
            "--exclude",
            "b",
            "-"
        ]));
        assert!(!parse(&["{}"]));
        assert!(!parse(&["--all", "--user", "u", "{}"]));
        assert!(!parse(&["--all"]));
    }
}
