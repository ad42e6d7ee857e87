//! What `deny.toml` says of licences, bans and sources, checked by what cargo itself knows.
//!
//! cargo-deny checks the same and more, but takes minutes to build, so it is used only where it is
//! installed already.

use std::env;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use spdx::{Expression, Licensee, ParseMode};

use crate::metadata::{Metadata, Package};
use crate::run::{cargo, installed, root, run};

const FILE: &str = "deny.toml";
/// How `Cargo.lock` writes crates.io.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The part of `deny.toml` that is checked here.
#[derive(Debug, Deserialize)]
struct Rules {
    licenses: Licenses,
    bans: Bans,
}

#[derive(Debug, Deserialize)]
struct Licenses {
    allow: Vec<String>,
    exceptions: Vec<LicenseException>,
}

/// Licences of one crate beside those of all.
#[derive(Debug, Deserialize)]
struct LicenseException {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Debug, Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
}

/// Checks all packages of `Cargo.lock`, then runs cargo-deny where it is installed.
pub(crate) fn check(metadata: &Metadata) -> Result<()> {
    let text =
        fs::read_to_string(root().join(FILE)).with_context(|| format!("cannot read {FILE}"))?;
    let rules: Rules = toml::from_str(&text).with_context(|| format!("cannot parse {FILE}"))?;
    let mut complaints = Vec::new();
    for package in &metadata.packages {
        complaints.extend(rules.complaints(package)?);
    }
    complaints.extend(metadata.members().flat_map(wildcards));
    if !complaints.is_empty() {
        bail!("{FILE}:\n{}", complaints.join("\n"));
    }
    cargo_deny()
}

impl Rules {
    fn complaints(&self, package: &Package) -> Result<Vec<String>> {
        let name = format!("{} {}", package.name, package.version);
        let mut complaints = Vec::new();
        if self.bans.deny.iter().any(|ban| ban.name == package.name) {
            complaints.push(format!("{name} is banned"));
        }
        if let Some(source) = package.source.as_ref().filter(|it| *it != CRATES_IO) {
            complaints.push(format!("{name} comes from {source}"));
        }
        match &package.license {
            None => complaints.push(format!("{name} states no licence")),
            Some(license) if !self.accept(&package.name, license)? => {
                complaints.push(format!("{name} has the licence {license}"));
            }
            Some(_) => {}
        }
        Ok(complaints)
    }

    fn accept(&self, package: &str, license: &str) -> Result<bool> {
        let exceptions = self.licenses.exceptions.iter();
        let exceptions = exceptions.filter(|it| it.name == package);
        let allowed = self
            .licenses
            .allow
            .iter()
            .chain(exceptions.flat_map(|it| &it.allow));
        let allowed: Vec<_> = allowed
            .map(|name| Licensee::parse(name).with_context(|| format!("{FILE}: {name}")))
            .collect::<Result<_>>()?;
        let expression = Expression::parse_mode(license, ParseMode::LAX)
            .with_context(|| format!("the licence of {package}"))?;
        Ok(expression.evaluate(|wanted| allowed.iter().any(|licensee| licensee.satisfies(wanted))))
    }
}

/// Dependencies of ours that any version would do for.
fn wildcards(package: &Package) -> Vec<String> {
    let dependencies = package.dependencies.iter();
    dependencies
        .filter(|dependency| dependency.path.is_none() && dependency.req == "*")
        .map(|dependency| {
            format!(
                "{} asks for any version of {}",
                package.name, dependency.name
            )
        })
        .collect()
}

/// What only cargo-deny knows: yanked versions, and advisories where their database is.
fn cargo_deny() -> Result<()> {
    if !installed("cargo-deny") {
        eprintln!(
            "lint: cargo-deny is not installed: advisories and yanked versions are not checked"
        );
        return Ok(());
    }
    run(cargo().args(["deny", "--offline", "check", "licenses", "bans", "sources"]))?;
    if !cargo_home().is_some_and(|home| home.join("advisory-dbs").is_dir()) {
        eprintln!(
            "lint: no advisory database: advisories are not checked (`cargo deny fetch` gets it)"
        );
        return Ok(());
    }
    run(cargo().args(["deny", "--offline", "check", "advisories"]))
}

fn cargo_home() -> Option<PathBuf> {
    let set = env::var_os("CARGO_HOME").map(PathBuf::from);
    set.or_else(|| env::home_dir().map(|home| home.join(".cargo")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Dependency;

    fn rules() -> Rules {
        toml::from_str(
            r#"
            [licenses]
            allow = ["MIT", "Apache-2.0"]
            exceptions = [{ crate = "peculiar", allow = ["MPL-2.0"] }]
            [bans]
            deny = [{ crate = "openssl" }]
            "#,
        )
        .unwrap()
    }

    fn package(name: &str, license: &str) -> Package {
        let mut package = Package::made_up(name, Vec::new());
        package.license = Some(license.to_owned());
        package.source = Some(CRATES_IO.to_owned());
        package
    }

    fn complaints(package: &Package) -> String {
        rules().complaints(package).unwrap().concat()
    }

    #[test]
    fn one_allowed_licence_of_a_choice_is_enough() {
        for license in ["MIT", "GPL-3.0 OR MIT", "MIT/Apache-2.0"] {
            assert_eq!(complaints(&package("a", license)), "");
        }
    }

    #[test]
    fn every_licence_of_a_conjunction_must_be_allowed() {
        let found = complaints(&package("a", "MIT AND GPL-3.0"));
        assert_eq!(found, "a 1.0.0 has the licence MIT AND GPL-3.0");
    }

    #[test]
    fn an_exception_counts_for_its_crate_only() {
        assert_eq!(complaints(&package("peculiar", "MPL-2.0")), "");
        assert_ne!(complaints(&package("another", "MPL-2.0")), "");
    }

    #[test]
    fn banned_crates_and_foreign_sources_are_named() {
        let found = complaints(&package("openssl", "MIT"));
        assert_eq!(found, "openssl 1.0.0 is banned");
        let mut foreign = package("a", "MIT");
        foreign.source = Some("git+https://example.org/a".to_owned());
        assert_eq!(
            complaints(&foreign),
            "a 1.0.0 comes from git+https://example.org/a"
        );
    }

    #[test]
    fn only_a_crate_of_this_workspace_may_be_asked_for_in_any_version() {
        let dependency = |name: &str, path: Option<PathBuf>| Dependency {
            name: name.to_owned(),
            req: "*".to_owned(),
            kind: None,
            path,
        };
        let package = Package::made_up(
            "a",
            vec![
                dependency("ours", Some("ours".into())),
                dependency("theirs", None),
            ],
        );
        assert_eq!(wildcards(&package), ["a asks for any version of theirs"]);
    }
}
