//! `fanfare check`.

use std::io::Write as _;

use anyhow::Context as _;

use super::Failed;
use crate::config::Loaded;

/// Says that the configuration is right, or prints it.
pub(super) fn run(loaded: &Loaded, print: bool) -> Result<(), Failed> {
    let text = if print {
        loaded
            .to_toml()
            .context("writing the configuration as TOML")?
    } else {
        "the configuration is valid\n".to_owned()
    };
    Ok(std::io::stdout()
        .write_all(text.as_bytes())
        .context("writing to standard output")?)
}
