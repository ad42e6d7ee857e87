//! Running the tests: all of them, or those that need no service.
//!
//! What a test needs stands in its path: a test target, module or function that has `with_redis`
//! or `with_python` in its name needs that. The target `e2e` needs everything.

use anyhow::Result;

use crate::metadata::Metadata;
use crate::run::{cargo, run};
use crate::{packages, venv};

/// Tests that inject panics need the first feature, units of the layer that start Redis the second.
/// They are the same for every build, so that nothing is
/// built twice.
pub(crate) const FEATURES: &str = "fanfare-node/fault,fanfare-layer/redis-tests";
const SERVICES: [&str; 2] = ["with_redis", "with_python"];
const END_TO_END: &str = "e2e";

/// Installs what the tests need and is missing.
pub(crate) fn setup() -> Result<()> {
    packages::install_missing()?;
    venv::make()
}

/// Runs every test.
pub(crate) fn all(with_setup: bool, arguments: &[String]) -> Result<()> {
    if with_setup {
        eprintln!(
            "test: first `cargo xtask setup`, which installs what is missing (Debian packages, \
             Python environments); --no-setup leaves it out, --quick needs none of it"
        );
        setup()?;
    }
    // The same packages and features for both, so that nothing is built twice.
    run(cargo().args(["build", "--workspace", "--bins", "--features", FEATURES]))?;
    run(cargo()
        .args([
            "test",
            "--workspace",
            "--no-fail-fast",
            "--features",
            FEATURES,
        ])
        .args(arguments))
}

/// Runs the tests that need no Redis, no Python, no browser and no other program.
pub(crate) fn quick(arguments: &[String]) -> Result<()> {
    let metadata = Metadata::read()?;
    let targets = quick_targets(
        metadata
            .members()
            .flat_map(|package| package.test_targets()),
    );
    run(cargo()
        .args(["test", "--workspace", "--no-fail-fast"])
        .args(["--features", FEATURES, "--lib", "--bins", "--examples"])
        .args(targets.iter().flat_map(|name| ["--test", name]))
        .args(arguments)
        .arg("--")
        .args(SERVICES.iter().flat_map(|name| ["--skip", name])))
}

/// The test targets that need no service, each name once.
fn quick_targets<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<_> = names
        .filter(|name| *name != END_TO_END && !SERVICES.contains(name))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::quick_targets;

    #[test]
    fn targets_that_need_a_service_are_not_among_the_quick_ones() {
        let all = ["main", "with_redis", "e2e", "main", "http", "with_python"];
        assert_eq!(quick_targets(all.into_iter()), ["http", "main"]);
    }
}
