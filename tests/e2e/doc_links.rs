//! Links of the documentation lead to files and headings that exist.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use fanfare_rig::project_root;

/// Directories that are not sources of the project.
const SKIPPED: [&str; 2] = ["target", "node_modules"];

/// All Markdown files below a directory. Hidden directories, such as `.git`, are not searched.
fn pages(directory: &Path, into: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if entry.file_type()?.is_dir() {
            if !name.starts_with('.') && !SKIPPED.contains(&&*name) {
                pages(&entry.path(), into)?;
            }
        } else if name.ends_with(".md") {
            into.push(entry.path());
        }
    }
    Ok(())
}

/// The lines of a page outside of blocks of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    })
}

/// The anchors that GitHub gives to the headings of a page: letters, digits, `-` and `_` in lower
/// case, spaces as `-`, and a number behind a heading that occurred before.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let headings = prose(text).filter(|line| line.starts_with('#'));
    let anchors = headings.map(|line| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter_map(|letter| match letter {
            ' ' => Some('-'),
            letter => Some(letter).filter(|it| it.is_alphanumeric() || "-_".contains(*it)),
        });
        let anchor: String = kept.collect();
        let before = seen.entry(anchor.clone()).or_default();
        *before += 1;
        match *before {
            1 => anchor,
            times => format!("{anchor}-{}", times - 1),
        }
    });
    anchors.collect()
}

/// The targets of a page's links, without those to other sites.
fn targets(text: &str) -> Vec<&str> {
    let pieces = prose(text).flat_map(|line| line.split("](").skip(1));
    let targets = pieces.filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
    targets.filter(|target| !target.contains("://")).collect()
}

#[test]
fn every_link_of_the_documentation_leads_to_a_file_and_a_heading_that_exist() -> Result<()> {
    let mut all = Vec::new();
    pages(&project_root(), &mut all)?;
    let (mut checked, mut broken) = (0, Vec::new());
    for page in all {
        let text = fs::read_to_string(&page)?;
        let directory = page.parent().context("a directory")?;
        for target in targets(&text) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = match file {
                "" => page.clone(),
                file => directory.join(file),
            };
            let holds = path.exists()
                && (anchor.is_empty() || anchors(&fs::read_to_string(&path)?).contains(anchor));
            checked += 1;
            if !holds {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    ensure!(checked > 50, "only {checked} links were found");
    ensure!(broken.is_empty(), "{}", broken.join("\n"));
    Ok(())
}

#[test]
fn anchors_are_those_of_github() {
    let text = "# Redis: a, b\n## Redis users (ACL)\n```sh\n# no heading\n```\n## same\n## same\n";
    let expected = ["redis-a-b", "redis-users-acl", "same", "same-1"];
    assert_eq!(anchors(text), expected.map(str::to_owned).into());
}
