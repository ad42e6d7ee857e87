//! The modules of a crate, as its files declare them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use syn::{Attribute, Item, Meta};

use crate::rooms::imports::{self, Import};

/// The names of a module and those above it, from the root of the crate.
pub(super) type ModulePath = Vec<String>;

/// One module: a file, or a block in one.
#[derive(Debug)]
pub(super) struct Module {
    pub(super) file: PathBuf,
    /// The folder below the source directory, or the stem of a file that stands directly in it.
    /// Empty for the root of the crate.
    pub(super) room: String,
    /// Whether its file declares the modules of its room.
    pub(super) is_face: bool,
    /// What it defines itself.
    pub(super) items: BTreeSet<String>,
    /// Every path that it imports or names.
    pub(super) imports: Vec<Import>,
}

/// All modules of one target that are compiled without tests.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) modules: BTreeMap<ModulePath, Module>,
}

/// Where the reading stands.
struct Place<'a> {
    path: ModulePath,
    file: &'a Path,
    /// Where the files of the modules are that are declared here.
    folder: PathBuf,
}

impl Tree {
    /// Reads a target from its first file, such as `src/lib.rs`.
    pub(super) fn read(entry: &Path) -> Result<Self> {
        let source = entry.parent().context("the first file is in no folder")?;
        let mut tree = Self::default();
        tree.read_file(entry, source, Vec::new(), source.to_path_buf())?;
        Ok(tree)
    }

    fn read_file(
        &mut self,
        file: &Path,
        source: &Path,
        path: ModulePath,
        folder: PathBuf,
    ) -> Result<()> {
        let text =
            fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let parsed =
            syn::parse_file(&text).with_context(|| format!("cannot parse {}", file.display()))?;
        let place = Place { path, file, folder };
        self.read_items(&parsed.items, source, &place)
    }

    fn read_items(&mut self, items: &[Item], source: &Path, place: &Place<'_>) -> Result<()> {
        let (room, is_face) = room(place, source);
        let module = Module {
            file: place.file.to_path_buf(),
            room,
            is_face,
            items: items.iter().filter_map(defined).collect(),
            imports: imports::of(items),
        };
        self.modules.insert(place.path.clone(), module);
        for item in items {
            let Item::Mod(module) = item else { continue };
            if is_for_tests(&module.attrs) {
                continue;
            }
            let name = module.ident.to_string();
            let mut path = place.path.clone();
            path.push(name.clone());
            let folder = place.folder.join(&name);
            if let Some((_, items)) = &module.content {
                let file = place.file;
                self.read_items(items, source, &Place { path, file, folder })?;
            } else {
                let flat = place.folder.join(format!("{name}.rs"));
                let own = folder.join("mod.rs");
                let file = if flat.is_file() { flat } else { own };
                ensure!(
                    file.is_file(),
                    "{}: no file for `mod {name}`",
                    place.file.display()
                );
                self.read_file(&file, source, path, folder)?;
            }
        }
        Ok(())
    }
}

/// The room of a module, and whether its file declares that room's modules.
fn room(place: &Place<'_>, source: &Path) -> (String, bool) {
    let file = place.file.strip_prefix(source).unwrap_or(place.file);
    let folder = file.parent().unwrap_or(Path::new(""));
    let stem = file.file_stem().unwrap_or_default();
    let is_root = folder.as_os_str().is_empty() && (stem == "lib" || stem == "main");
    let (room, is_face) = if is_root {
        (PathBuf::new(), true)
    } else if stem == "mod" {
        (folder.to_path_buf(), true)
    } else if source.join(folder).join(stem).is_dir() {
        (folder.join(stem), true)
    } else if folder.as_os_str().is_empty() {
        (PathBuf::from(stem), false)
    } else {
        (folder.to_path_buf(), false)
    };
    (room.display().to_string(), is_face)
}

/// Whether `#[cfg(test)]`, or `cfg` of several things of which one is `test`, stands before an item.
pub(super) fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            let condition = list.tokens.to_string();
            condition == "test" || condition.starts_with("all (test")
        }
        Meta::Path(path) => path.is_ident("test"),
        _ => false,
    })
}

fn defined(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        _ => return None,
    };
    Some(name.to_string())
}
