//! The configuration: `keys` declares every key, `config/fanfare.toml` has the defaults. A file, the
//! environment and `--set` override them. One error names everything that is wrong.
//!
//! Text goes into [`load`], [`Settings`] or every error come out. Who calls it reads the configuration
//! file and the environment. It reads the files of secrets that keys name.

mod api_keys;
mod auth;
mod build;
mod claimed;
mod groups;
mod hosts;
mod keys;
mod layer;
mod listen;
mod merge;
mod overlay;
mod problem;
mod reader;
mod routes;
mod schema;
mod secret;
mod secret_file;
pub(crate) mod settings;
#[cfg(test)]
mod tests;
mod tree;

pub(crate) use listen::{is_local, reachable};
pub(crate) use problem::ConfigError;
pub(crate) use secret::masked_url;
pub(crate) use settings::{Backend, LogFormat, Settings};

use problem::Problems;
use tree::{Origin, Table};

/// Every key with its default.
const EMBEDDED: &str = include_str!("../../../../config/fanfare.toml");

/// What covers the defaults, the later fields covering the earlier ones.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// The path and the text of the file of `--config`.
    pub(crate) file: Option<(String, String)>,
    /// The environment, or any part of it that holds all of `FANFARE__*`.
    pub(crate) environment: Vec<(String, String)>,
    /// `KEY=VALUE` of each `--set`.
    pub(crate) sets: Vec<String>,
    /// The node's name when none is configured.
    pub(crate) host_name: String,
}

/// A configuration without errors.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// What the server runs with.
    pub(crate) settings: Settings,
    /// What is allowed and dangerous, for people.
    pub(crate) warnings: Vec<String>,
    merged: Table,
}

/// Merges and checks a configuration.
///
/// # Errors
/// [`ConfigError`] with everything that is wrong, in all sources.
pub(crate) fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
    let mut problems = Problems::default();
    let defaults = document(
        EMBEDDED,
        "the embedded defaults",
        &|_| Origin::new(Origin::DEFAULT),
        &mut problems,
    );
    let mut tables = vec![defaults.clone()];
    if let Some((path, text)) = &sources.file {
        let origin = |line| Origin::new(&format!("{path}:{line}"));
        tables.push(document(text, path, &origin, &mut problems));
    }
    let environment = overlay::environment(&defaults, &sources.environment, &mut problems);
    tables.extend(environment);
    tables.extend(overlay::flags(&defaults, &sources.sets, &mut problems));
    let merged = merge::merge(tables).unwrap_or_else(|error| {
        problems.push_source("", "all sources together", error.to_string());
        Table::new()
    });
    let merged = schema::check(&defaults, &merged, &mut problems);
    let settings = build::settings(&defaults, &merged, &sources.host_name, &mut problems);
    let warnings = problems.finish()?;
    Ok(Loaded {
        settings,
        warnings,
        merged,
    })
}

/// The table of a document, or an empty one and what is wrong with its syntax.
fn document(
    text: &str,
    name: &str,
    origin: &dyn Fn(usize) -> Origin,
    problems: &mut Problems,
) -> Table {
    /// One missing quote can make an error of every line that follows.
    const SHOWN: usize = 5;
    tree::parse_document(text, origin).unwrap_or_else(|errors| {
        for error in errors.iter().take(SHOWN) {
            let place = format!("{name}:{}:{}", error.line, error.column);
            problems.push_source("", &place, format!("not TOML: {}", error.reason));
        }
        Table::new()
    })
}

impl Loaded {
    /// The merged configuration as TOML that could be loaded again, but for the secrets: those are
    /// masked.
    ///
    /// # Errors
    /// When a value has no notation in TOML; none that was loaded lacks one.
    pub(crate) fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(&tree::to_toml(&secret::masked_table("", &self.merged)))
    }
}

impl ConfigError {
    /// The error of a file that cannot be opened, or of text that is no UTF-8.
    pub(crate) fn unreadable(path: &str, reason: &str) -> Self {
        let mut problems = Problems::default();
        problems.push_source("", path, reason);
        problems.into_error()
    }
}
