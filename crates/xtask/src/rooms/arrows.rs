//! Which room imports which.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::rooms::imports::Import;
use crate::rooms::tree::{Module, ModulePath, Tree};

/// Imports that lead to imports, at most.
const DEPTH: usize = 16;

/// A room that imports another, and one import that does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arrow {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) file: PathBuf,
    pub(super) line: usize,
}

/// The arrows of a crate; for each pair of rooms the first import that was read.
pub(super) fn between_rooms(tree: &Tree) -> Vec<Arrow> {
    let mut arrows = BTreeMap::new();
    for (path, module) in &tree.modules {
        for import in &module.imports {
            let Some(target) = target(tree, path, import) else {
                continue;
            };
            if module.room == target.room || is_family(module, target) {
                continue;
            }
            let rooms = (module.room.clone(), target.room.clone());
            arrows.entry(rooms).or_insert_with(|| Arrow {
                from: module.room.clone(),
                to: target.room.clone(),
                file: module.file.clone(),
                line: import.line,
            });
        }
    }
    arrows.into_values().collect()
}

/// Whether one declares the folder that the other is in, at any depth.
fn is_family(from: &Module, to: &Module) -> bool {
    let within = |inner: &str, outer: &str| {
        outer.is_empty()
            || inner
                .strip_prefix(outer)
                .is_some_and(|rest| rest.starts_with('/'))
    };
    (from.is_face && within(&to.room, &from.room)) || (to.is_face && within(&from.room, &to.room))
}

/// The module that defines what an import names; none outside of the crate.
fn target<'a>(tree: &'a Tree, from: &ModulePath, import: &Import) -> Option<&'a Module> {
    let mut seen = BTreeSet::new();
    let path = if import.binding.as_deref() == Some("*") {
        module_at(tree, from, &import.segments, &mut seen)?
    } else {
        definition(tree, from, &import.segments, &mut seen)?
    };
    tree.modules.get(&path)
}

type Seen = BTreeSet<(ModulePath, Vec<String>)>;

/// The module in which a path, read in the module `from`, finds its item.
fn definition(
    tree: &Tree,
    from: &ModulePath,
    segments: &[String],
    seen: &mut Seen,
) -> Option<ModulePath> {
    if seen.len() > DEPTH || !seen.insert((from.clone(), segments.to_vec())) {
        return None;
    }
    let (mut at, mut rest) = anchor(from, segments)?;
    loop {
        let Some((name, after)) = rest.split_first() else {
            return Some(at);
        };
        let mut child = at.clone();
        child.push(name.clone());
        if tree.modules.contains_key(&child) {
            (at, rest) = (child, after);
            continue;
        }
        let module = tree.modules.get(&at)?;
        if module.items.contains(name) {
            return Some(at);
        }
        return through_use(tree, &at, module, (name, after), seen);
    }
}

/// Follows the `use` that gives `name` to a module.
fn through_use(
    tree: &Tree,
    at: &ModulePath,
    module: &Module,
    (name, after): (&String, &[String]),
    seen: &mut Seen,
) -> Option<ModulePath> {
    let uses = module.imports.iter().filter(|it| it.binding.is_some());
    let (globs, named): (Vec<_>, Vec<_>) = uses.partition(|it| it.binding.as_deref() == Some("*"));
    for import in named {
        if import.binding.as_ref() == Some(name) {
            let segments = [&import.segments[..], after].concat();
            return definition(tree, at, &segments, seen);
        }
    }
    globs.into_iter().find_map(|import| {
        let segments = [&import.segments[..], std::slice::from_ref(name), after].concat();
        definition(tree, at, &segments, seen)
    })
}

/// The module that a path names as a whole.
fn module_at(
    tree: &Tree,
    from: &ModulePath,
    segments: &[String],
    seen: &mut Seen,
) -> Option<ModulePath> {
    let found = definition(tree, from, segments, seen)?;
    let is_module = found.last() == segments.last() || segments.last()? == "super";
    (is_module || segments == ["crate"]).then_some(found)
}

/// Where a path begins, and what of it is left.
fn anchor<'a>(from: &ModulePath, segments: &'a [String]) -> Option<(ModulePath, &'a [String])> {
    let (first, mut rest) = segments.split_first()?;
    let mut at = match first.as_str() {
        "crate" => Vec::new(),
        "self" => from.clone(),
        "super" => from.split_last()?.1.to_vec(),
        _ => return Some((from.clone(), segments)),
    };
    while let Some((next, after)) = rest.split_first() {
        if next != "super" {
            break;
        }
        at.pop()?;
        rest = after;
    }
    Some((at, rest))
}
