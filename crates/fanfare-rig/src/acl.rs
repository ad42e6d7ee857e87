//! The rules for Redis users that the documentation gives.

use std::fs;

use anyhow::{Context as _, Result};

use crate::paths::project_root;

/// What `docs/OPERATIONS.md` lets a user do, under the heading of a format (`Pub/sub` or `Core`):
/// the rules of its `ACL SETUSER` line, behind the password.
///
/// # Errors
/// When there is no such line.
pub fn documented_rules(format: &str, user: &str) -> Result<Vec<String>> {
    let text = fs::read_to_string(project_root().join("docs/OPERATIONS.md"))?;
    let (_, section) = text
        .split_once(&format!("\n### {format}\n"))
        .with_context(|| format!("no heading {format:?}"))?;
    let section = section.split("\n#").next().unwrap_or_default();
    let begin = format!("ACL SETUSER {user} reset on >password ");
    let mut rules = section.lines().filter_map(|line| line.strip_prefix(&begin));
    let rules = rules
        .next()
        .with_context(|| format!("no rules of {user}"))?;
    Ok(rules.split_whitespace().map(str::to_owned).collect())
}
