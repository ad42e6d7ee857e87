//! `fanfare-bench` measures what a Fanfare server does with a second of CPU.
//!
//! ```text
//! loader (this process, one core)  --sockets-->  server (a child, the other core)
//! scenario: start, connect, check, warm up, [CPU counters] run [CPU counters], check
//! report:   the same with the limit in the server's place, pairs, median of the ratios
//! ```
//! It knows the server as a client does: no crate of the product is linked, so no change of the
//! product can change what it is measured with.

mod affinity;
mod attack;
mod channels;
mod children;
mod cli;
mod handshake;
mod limit;
mod loader;
mod pause;
mod proc;
mod redis_server;
mod report;
mod scenario;
mod server;
mod stats;

use std::io::Write as _;

use anyhow::Context as _;
use clap::Parser as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use cli::{ChannelsOptions, Cli, Command, Options};
use proc::machine::Machine;
use report::Report;

fn main() -> anyhow::Result<()> {
    let command = Cli::parse().command;
    raise_descriptor_limit()?;
    match &command {
        Command::Limit { bind, coalesce } => limit::serve(*bind, *coalesce),
        Command::Attack { plan } => attack::run(plan),
        Command::Channels { options } => measure_channels(options),
        Command::Compare { options, .. }
        | Command::Consumers { options }
        | Command::FanOut { options, .. }
        | Command::RoundTrip { options, .. }
        | Command::Connect { options, .. }
        | Command::IdleMemory { options, .. }
        | Command::Fairness { options, .. }
        | Command::Neighbour { options, .. }
        | Command::UserTime { options, .. } => measure(&command, options),
    }
}

fn measure(command: &Command, options: &Options) -> anyhow::Result<()> {
    let bench = options.bench()?;
    let scenarios = command.scenarios();
    for (_, scenario) in &scenarios {
        scenario.check(&bench)?;
    }
    let mut outcomes = Vec::new();
    for (name, scenario) in scenarios {
        outcomes.push(
            scenario
                .measure(&name, &bench)
                .with_context(|| name.clone())?,
        );
    }
    let report = Report {
        machine: Machine::describe(),
        server_core: bench.cores.server,
        loader_core: bench.cores.loader,
        server: bench
            .servers
            .as_ref()
            .map_or_else(|| "limit".to_owned(), |all| all.fanfare.to_string()),
        pairs: bench.pairs,
        seconds: Some(bench.time.as_secs_f64()),
        outcomes,
    };
    print(&report, options.json)
}

fn measure_channels(options: &ChannelsOptions) -> anyhow::Result<()> {
    let bench = options.bench()?;
    let measure = |line| channels::measure(line, &bench).with_context(|| format!("{line:?}"));
    let outcomes: anyhow::Result<Vec<_>> = options.lines().into_iter().map(measure).collect();
    let report = Report {
        machine: Machine::describe(),
        server_core: bench.cores.server,
        loader_core: bench.cores.loader,
        server: "fanfare".to_owned(),
        pairs: bench.pairs,
        seconds: None,
        outcomes: outcomes?,
    };
    print(&report, options.json)
}

fn print(report: &Report, json: bool) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut stdout, report)?;
        writeln!(stdout)?;
    } else {
        write!(stdout, "{report}")?;
    }
    Ok(())
}

/// Ten thousand sessions need as many descriptors, here and in the children.
fn raise_descriptor_limit() -> anyhow::Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    )
    .context("cannot raise the limit of open files")
}
