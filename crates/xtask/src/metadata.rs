//! What `cargo metadata` says of the workspace and of every package in `Cargo.lock`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::run::cargo;

/// All packages, and which of them are ours.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    workspace_members: Vec<String>,
}

/// A package.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: Option<String>,
    /// None for a package of a local path.
    pub(crate) source: Option<String>,
    pub(crate) dependencies: Vec<Dependency>,
    targets: Vec<Target>,
}

/// What a package asks for.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) req: String,
    /// None for a dependency that every build has, else `dev` or `build`.
    pub(crate) kind: Option<String>,
    pub(crate) path: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
    src_path: PathBuf,
}

impl Metadata {
    /// Asks cargo.
    pub(crate) fn read() -> Result<Self> {
        let mut command = cargo();
        command.args(["metadata", "--format-version", "1", "--locked"]);
        let output = command.output().context("cannot run cargo metadata")?;
        ensure!(
            output.status.success(),
            "cargo metadata: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).context("cargo metadata is not what it was")
    }

    /// The packages of the workspace.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        let packages = self.packages.iter();
        packages.filter(|package| self.workspace_members.contains(&package.id))
    }
}

impl Package {
    /// The first files of its library and its programs, with their names.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &Path)> {
        let shipped = self.targets.iter().filter(|target| {
            let mut kinds = target.kind.iter();
            kinds.any(|kind| kind == "lib" || kind == "bin" || kind == "proc-macro")
        });
        shipped.map(|target| (target.name.as_str(), target.src_path.as_path()))
    }

    /// The names of its integration tests.
    pub(crate) fn test_targets(&self) -> impl Iterator<Item = &str> {
        let tests = self.targets.iter();
        let tests = tests.filter(|target| target.kind.iter().any(|kind| kind == "test"));
        tests.map(|target| target.name.as_str())
    }
}

#[cfg(test)]
impl Package {
    /// A package of no files.
    pub(crate) fn made_up(name: &str, dependencies: Vec<Dependency>) -> Self {
        Self {
            id: name.to_owned(),
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            license: None,
            source: None,
            dependencies,
            targets: Vec::new(),
        }
    }
}
