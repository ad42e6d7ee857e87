//! The binary `fanfare`: everything around the library that makes it a server.
//!
//! `cli` reads the arguments and `config` the configuration; `serve` builds the node, the listener
//! and the layer from it; `routes` answers WebSocket handshakes, for which `auth` asks the
//! application who a client is, and `http` everything else.
//! Nothing but this file looks at the environment. `allocator` is how memory goes back to the system.

mod allocator;
mod auth;
mod banner;
mod cli;
mod config;
mod fd_limit;
mod http;
mod logging;
mod metrics;
mod output;
mod routes;
mod serve;
mod shown;
mod signals;

use std::ffi::OsString;
use std::process::ExitCode;

/// Packs small sessions tightly and gives back what a burst of connections took.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let text = |value: OsString| value.to_string_lossy().into_owned();
    let environment = std::env::vars_os()
        .map(|(name, value)| (text(name), text(value)))
        .collect();
    match cli::run(std::env::args_os(), environment) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            output::tell(format!("{failed}\n"));
            failed.status()
        }
    }
}
