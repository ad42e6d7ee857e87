//! The rooms of a crate: each folder below `src`, and each file directly in it.
//!
//! Two rules hold, and `cargo xtask lint` checks both. Rooms of a crate do not import each other in
//! a circle. A crate depends only on the crates that [`layering`] allows it.
//!
//! A folder's own file (`mod.rs`, or `name.rs` beside the folder `name`) declares the modules of the
//! folder: it may import them, and they may import what it defines. Such imports make no arrow.
//! Modules that are compiled only for tests are left out.

mod arrows;
mod circles;
mod imports;
mod layering;
#[cfg(test)]
mod tests;
mod tree;

use anyhow::{Context as _, Result, bail};

use crate::metadata::Metadata;
use crate::run::root;

/// Checks every crate of the workspace; names everything that breaks a rule.
pub(crate) fn check(metadata: &Metadata) -> Result<()> {
    let mut complaints = Vec::new();
    for package in metadata.members() {
        complaints.extend(layering::complaints(package));
        for (target, entry) in package.entries() {
            let tree = tree::Tree::read(entry)
                .with_context(|| format!("cannot read the modules of {target}"))?;
            complaints.extend(circles_of(target, &tree));
            complaints.extend(layering::imported(&package.name, &tree));
        }
    }
    if complaints.is_empty() {
        return Ok(());
    }
    bail!("rooms:\n{}", complaints.join("\n"))
}

/// A text for each circle: its rooms, and one import for each arrow.
fn circles_of(target: &str, tree: &tree::Tree) -> Vec<String> {
    let arrows = arrows::between_rooms(tree);
    circles::find(&arrows)
        .iter()
        .map(|circle| {
            let mut text = format!("{target}: a circle of {} rooms", circle.len());
            for arrow in circle {
                let file = arrow.file.strip_prefix(root()).unwrap_or(&arrow.file);
                text += &format!(
                    "\n  {} -> {} ({}:{})",
                    arrow.from,
                    arrow.to,
                    file.display(),
                    arrow.line
                );
            }
            text
        })
        .collect()
}
