//! The minimum Rust version: stated in several places, checked by building with exactly it.

use std::fs;

use anyhow::{Context as _, Result, ensure};

/// Where the version stands, and what is in front of it there.
const PLACES: &[(&str, &str)] = &[
    ("rust-toolchain.toml", "channel = \""),
    ("docker/Dockerfile", "FROM rust:"),
    ("README.md", "Rust "),
    ("docs/GETTING-STARTED.md", "Rust "),
];

/// Everything is built with the toolchain of `rust-toolchain.toml`; when that is the version which
/// `Cargo.toml` and the documentation promise, the promise is checked by every build.
pub(crate) fn check() -> Result<()> {
    let stated = after("Cargo.toml", "rust-version = \"")?;
    for (file, before) in PLACES {
        let found = after(file, before)?;
        let same = found == stated || found.starts_with(&format!("{stated}."));
        ensure!(
            same,
            "{file} says Rust {found}, and Cargo.toml says {stated}"
        );
    }
    Ok(())
}

/// The version behind the first `before` that has one behind it.
fn after(file: &str, before: &str) -> Result<String> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
    let versions = text.split(before).skip(1).map(|rest| {
        let end = rest.find(|letter: char| letter != '.' && !letter.is_ascii_digit());
        let version = end.and_then(|end| rest.get(..end)).unwrap_or(rest);
        version.trim_end_matches('.').to_owned()
    });
    let mut versions = versions.filter(|version| !version.is_empty());
    versions
        .next()
        .with_context(|| format!("{file} states no version behind {before:?}"))
}
