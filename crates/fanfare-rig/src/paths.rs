//! Where things are: the project and the binary under test.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The root of the workspace.
pub fn project_root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest
        .ancestors()
        .nth(2)
        .unwrap_or(manifest)
        .to_path_buf()
}

/// The `fanfare` binary: `FANFARE_BIN`, or the one built beside the running test binary.
///
/// # Errors
/// When it is not there; the message says how to build it.
pub fn server_binary() -> Result<PathBuf> {
    if let Some(path) = env::var_os("FANFARE_BIN") {
        return Ok(PathBuf::from(path));
    }
    let tests = env::current_exe().context("the path of the test binary")?;
    let profile = tests
        .parent()
        .and_then(Path::parent)
        .context("the build directory")?;
    let binary = profile.join("fanfare");
    if !binary.is_file() {
        bail!(
            "{} is missing: build it with `cargo build -p fanfare-server`, or run `cargo xtask test`",
            binary.display()
        );
    }
    Ok(binary)
}
