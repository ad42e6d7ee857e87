//! The command line: what can be asked of the binary, and how it ends.

mod api;
mod check;
mod exit;
mod health;
mod nodes;
mod publish;
mod redis;
mod serve;
mod tail;
mod usage;

use std::ffi::OsString;
use std::io::IsTerminal as _;

use anyhow::Context as _;
use clap::Parser as _;

use crate::config::{self, ConfigError, Loaded, Sources};
use crate::output;
use usage::{Cli, Command, Common};

pub(crate) use exit::{Exit, Failed};

/// Does what the arguments say. `environment` is where `FANFARE__*` is looked up.
///
/// # Errors
/// [`Failed`], with how the process should end.
pub(crate) fn run(
    arguments: impl IntoIterator<Item = OsString>,
    environment: Vec<(String, String)>,
) -> Result<(), Failed> {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            let text = error.render();
            return Err(match std::io::stderr().is_terminal() {
                true => Failed::usage(text.ansi()),
                false => Failed::usage(text),
            });
        }
        // Help and version are what was asked for.
        Err(error) => {
            let text = error.render();
            let text = match std::io::stdout().is_terminal() {
                true => text.ansi().to_string(),
                false => text.to_string(),
            };
            return Ok(output::print(&text).context("printing the help")?);
        }
    };
    let load = |common: &Common| load(&cli.common.followed_by(common), environment.clone());
    match cli.command.unwrap_or_default() {
        Command::Serve(common) => serve::run(load(&common)?),
        Command::Check(arguments) => check::run(&load(&arguments.common)?, arguments.print),
        Command::Health(arguments) => {
            let settings = load(&arguments.common)?.settings;
            block_on(health::run(&settings, arguments.url.as_deref()))
        }
        Command::Publish(arguments) => {
            let settings = load(&arguments.common)?.settings;
            block_on(publish::run(&settings, arguments))
        }
        Command::Tail(arguments) => {
            let settings = load(&arguments.common)?.settings;
            block_on(tail::run(&settings, &arguments.group))
        }
        Command::Nodes(arguments) => {
            let settings = load(&arguments.common)?.settings;
            block_on(nodes::run(&settings, &arguments.api))
        }
    }
}

fn load(common: &Common, environment: Vec<(String, String)>) -> Result<Loaded, Failed> {
    common.check().map_err(Failed::usage)?;
    let file = match &common.config {
        Some(path) => {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(path)
                .map_err(|error| ConfigError::unreadable(&name, &error.to_string()))?;
            Some((name, text))
        }
        None => None,
    };
    let host_name = hostname::get()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let sets = common.sets.clone();
    Ok(config::load(&Sources {
        file,
        environment,
        sets,
        host_name,
    })?)
}

/// Runs a command that is over soon, on this thread.
fn block_on(command: impl Future<Output = Result<(), Failed>>) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.context("starting the runtime")?;
    let done = runtime.block_on(command);
    // A thread that still waits for a reader of standard output must not keep the process.
    runtime.shutdown_background();
    done
}
