//! One command per habit: `cargo xtask <habit>`. CI calls these and nothing else.

mod backports;
mod dependencies;
mod metadata;
mod msrv;
mod newcomer;
mod packages;
mod rooms;
mod run;
mod testing;
mod venv;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::metadata::Metadata;
use crate::run::{cargo, run};

/// The crates of an application that has switched the feature `redis` off.
const WITHOUT_REDIS: &[&str] = &[
    "fanfare-layer",
    "fanfare-node",
    "fanfare-consumer",
    "fanfare-gateway",
    "fanfare",
];

#[derive(Parser)]
#[command(name = "cargo xtask", about = "One command per habit")]
struct Arguments {
    #[command(subcommand)]
    habit: Habit,
}

#[derive(Subcommand)]
enum Habit {
    /// Install what the tests need and is missing: Debian packages, the Python environments
    Setup,
    /// Format everything
    Fmt,
    /// Check the format and the rooms, and run clippy, warnings denied
    Lint,
    /// Check licences, bans and sources of the dependencies
    Deny,
    /// Check that no rooms of a crate import each other in a circle, and who depends on whom
    Rooms,
    /// Set up, build the server and run every test; arguments go to `cargo test`
    Test {
        /// Only tests that need no Redis, no Python, no browser and no other program
        #[arg(long)]
        quick: bool,
        /// Install nothing: what the tests need is there by other means
        #[arg(long, conflicts_with = "quick")]
        no_setup: bool,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Build the documentation, warnings denied
    Doc,
    /// Build everything for speed and run `fanfare-bench` with the arguments
    Bench {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run the README's first command in a fresh clone and ask it for `/`
    Newcomer,
    /// Everything CI does
    Ci,
}

fn main() -> ExitCode {
    match perform(Arguments::parse().habit) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform(habit: Habit) -> Result<()> {
    match habit {
        Habit::Setup => testing::setup(),
        Habit::Fmt => run(cargo().args(["fmt", "--all"])),
        Habit::Lint => lint(),
        Habit::Deny => dependencies::check(&Metadata::read()?),
        Habit::Rooms => rooms::check(&Metadata::read()?),
        Habit::Test {
            quick: true,
            arguments,
            ..
        } => testing::quick(&arguments),
        Habit::Test {
            no_setup,
            arguments,
            ..
        } => testing::all(!no_setup, &arguments),
        Habit::Doc => doc(),
        Habit::Bench { arguments } => bench(&arguments),
        Habit::Newcomer => newcomer::check(),
        Habit::Ci => {
            lint()?;
            doc()?;
            testing::all(true, &[])?;
            newcomer::check()
        }
    }
}

fn lint() -> Result<()> {
    msrv::check()?;
    let metadata = Metadata::read()?;
    rooms::check(&metadata)?;
    dependencies::check(&metadata)?;
    run(cargo().args(["fmt", "--all", "--check"]))?;
    run(cargo()
        .args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--features",
            testing::FEATURES,
        ])
        .args(["--", "-D", "warnings"]))?;
    run(cargo()
        .args(["clippy", "--no-default-features"])
        .args(WITHOUT_REDIS.iter().flat_map(|name| ["-p", name]))
        .args(["--", "-D", "warnings"]))
}

fn doc() -> Result<()> {
    run(cargo()
        .args(["doc", "--workspace", "--no-deps"])
        .env("RUSTDOCFLAGS", "-D warnings"))
}

fn bench(arguments: &[String]) -> Result<()> {
    run(cargo().args([
        "build",
        "--release",
        "-p",
        "fanfare-server",
        "-p",
        "fanfare-bench",
        "-p",
        "fanfare-benches",
    ]))?;
    run(cargo()
        .args(["run", "--release", "-p", "fanfare-bench", "--"])
        .args(arguments))
}
