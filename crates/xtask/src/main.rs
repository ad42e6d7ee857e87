//! One command per habit: `cargo xtask <habit>`. CI calls these and nothing else.

mod backports;
mod dependencies;
mod metadata;
mod msrv;
mod newcomer;
mod packages;
mod rooms;
mod run;
mod venv;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::metadata::Metadata;
use crate::run::{cargo, run};

/// Tests that inject panics need this feature; the message they use is compiled in by it alone.
const FAULT: &str = "fanfare-node/fault";

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
        Habit::Setup => setup(),
        Habit::Fmt => run(cargo().args(["fmt", "--all"])),
        Habit::Lint => lint(),
        Habit::Deny => dependencies::check(&Metadata::read()?),
        Habit::Rooms => rooms::check(&Metadata::read()?),
        Habit::Test { arguments } => test(&arguments),
        Habit::Doc => doc(),
        Habit::Bench { arguments } => bench(&arguments),
        Habit::Newcomer => newcomer::check(),
        Habit::Ci => {
            lint()?;
            doc()?;
            test(&[])?;
            newcomer::check()
        }
    }
}

fn setup() -> Result<()> {
    packages::install_missing()?;
    venv::make()
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
            FAULT,
        ])
        .args(["--", "-D", "warnings"]))?;
    run(cargo()
        .args(["clippy", "--no-default-features"])
        .args(WITHOUT_REDIS.iter().flat_map(|name| ["-p", name]))
        .args(["--", "-D", "warnings"]))
}

fn test(arguments: &[String]) -> Result<()> {
    setup()?;
    // The same packages and features for both, so that nothing is built twice.
    run(cargo().args(["build", "--workspace", "--bins", "--features", FAULT]))?;
    run(cargo()
        .args(["test", "--workspace", "--no-fail-fast", "--features", FAULT])
        .args(arguments))
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
