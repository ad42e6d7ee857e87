//! Every Rust block of the guide, of CHANNELS.md and of the README is the text of a file that compiles
//! and runs in these tests.

use std::fs;
use std::path::PathBuf;

const EXAMPLES: &str = "crates/fanfare/examples/";

/// A block of Rust, and the file that the page names in front of it.
struct Excerpt {
    /// Of the block's first line, from 1.
    line: usize,
    source: Option<PathBuf>,
    text: Vec<String>,
}

fn root() -> PathBuf {
    fanfare_rig::project_root()
}

fn read(path: PathBuf) -> String {
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The blocks of a page. The last link to a `.rs` file in front of a block is its source.
fn excerpts(page: &str) -> Vec<Excerpt> {
    let path = root().join(page);
    let directory = path.parent().unwrap().to_path_buf();
    let (mut excerpts, mut source, mut inside) = (Vec::new(), None, false);
    for (index, line) in read(path).lines().enumerate() {
        match line {
            "```rust" => {
                inside = true;
                excerpts.push(Excerpt {
                    line: index + 2,
                    source: source.clone(),
                    text: Vec::new(),
                });
            }
            "```" => inside = false,
            text if inside => excerpts.last_mut().unwrap().text.push(text.to_owned()),
            text => {
                let links = text
                    .split("](")
                    .skip(1)
                    .filter_map(|rest| rest.split_once(')'));
                let linked = links
                    .map(|(target, _)| target)
                    .filter(|to| to.ends_with(".rs"));
                source = linked
                    .last()
                    .map(|target| directory.join(target))
                    .or(source);
            }
        }
    }
    excerpts
}

/// Lines without the indentation that all of them have.
fn dedented<S: AsRef<str>>(lines: &[S]) -> Vec<&str> {
    let lines = || lines.iter().map(AsRef::as_ref);
    let indent = |line: &str| line.len() - line.trim_start().len();
    let filled = lines().filter(|line| !line.is_empty());
    let common = filled.map(indent).min().unwrap_or(0);
    lines()
        .map(|line| line.get(common..).unwrap_or_default())
        .collect()
}

fn check(page: &str) -> usize {
    let excerpts = excerpts(page);
    for Excerpt { line, source, text } in &excerpts {
        let Some(source) = source else {
            panic!("{page}:{line}: no link names the file that this block is from");
        };
        let whole = read(source.clone());
        let lines: Vec<&str> = whole.lines().collect();
        let wanted = dedented(text);
        assert!(
            lines
                .windows(text.len())
                .any(|window| dedented(window) == wanted),
            "{page}:{line}: this block is not in {}:\n{}",
            source.display(),
            wanted.join("\n")
        );
    }
    excerpts.len()
}

#[test]
fn the_guide_shows_what_is_tested() {
    let blocks = check("docs/GETTING-STARTED.md");
    assert!(blocks >= 10, "only {blocks} blocks were found");
}

#[test]
fn the_readme_and_the_table_for_channels_show_what_is_tested() {
    assert!(check("README.md") >= 1);
    assert!(check("docs/CHANNELS.md") >= 1);
}

#[test]
fn the_chat_has_less_than_60_lines() {
    let chat = read(root().join(EXAMPLES).join("chat.rs"));
    assert!(chat.lines().count() < 60);
}

#[test]
fn every_example_is_in_the_guide_and_runs_in_a_test() {
    let guide = read(root().join("docs/GETTING-STARTED.md"));
    let runs = include_str!("examples_run.rs");
    for entry in fs::read_dir(root().join(EXAMPLES)).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.file_stem().unwrap().to_str().unwrap();
            assert!(
                guide.contains(&format!("{name}.rs")),
                "{name} is not in the guide"
            );
            assert!(
                runs.contains(&format!("start(\"{name}\")")),
                "{name} does not run"
            );
        }
    }
}
