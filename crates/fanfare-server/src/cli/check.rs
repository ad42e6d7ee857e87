//! `fanfare check`.

use anyhow::Context as _;

use super::Failed;
use crate::config::Loaded;
use crate::output;

/// Says that the configuration is right, or prints it. Warnings go to standard error.
pub(super) fn run(loaded: &Loaded, print: bool) -> Result<(), Failed> {
    for warning in &loaded.warnings {
        output::tell(format!("warning: {warning}\n"));
    }
    let text = if print {
        loaded
            .to_toml()
            .context("writing the configuration as TOML")?
    } else {
        "the configuration is valid\n".to_owned()
    };
    Ok(output::print(&text).context("writing to standard output")?)
}
