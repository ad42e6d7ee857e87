//! The table of upstream tests names tests that exist.

use std::collections::HashSet;

const TABLE: &str = include_str!("../../../docs/UPSTREAM-TESTS.md");
const SOURCES: [&str; 6] = [
    include_str!("upstream_consumers.rs"),
    include_str!("upstream_daphne.rs"),
    include_str!("upstream_http.rs"),
    include_str!("upstream_routing.rs"),
    include_str!("upstream_security.rs"),
    include_str!("upstream_testing.rs"),
];

/// The rows of the table. Those of layers are checked with the layers.
fn rows() -> impl Iterator<Item = &'static str> {
    let lines = TABLE.lines().take_while(|line| *line != "# Layers");
    lines.filter(|line| line.starts_with("| `test_"))
}

/// The names in backticks of a line's columns from `first` on.
fn names(line: &str, first: usize) -> impl Iterator<Item = &str> {
    let columns = line.split('|').skip(first);
    let quoted = columns.flat_map(|column| column.split('`').skip(1).step_by(2));
    quoted.filter(|name| name.contains('_') && !name.contains(['.', '/']))
}

fn tests() -> HashSet<&'static str> {
    let lines = SOURCES.into_iter().flat_map(str::lines);
    let names = lines.filter_map(|line| line.strip_prefix("async fn ")?.strip_suffix("() {"));
    names.collect()
}

#[test]
fn every_test_that_the_table_names_exists() {
    let tests = tests();
    let mut named = HashSet::new();
    for line in rows() {
        let own: Vec<_> = names(line, 2).collect();
        assert!(!own.is_empty() || line.contains("left out"), "{line}");
        for name in own {
            assert!(tests.contains(name), "there is no test {name}");
            named.insert(name);
        }
    }
    assert!(named.len() > 40, "only {} tests are named", named.len());
    let unnamed: Vec<_> = tests.difference(&named).collect();
    assert!(unnamed.is_empty(), "not in the table: {unnamed:?}");
}

#[test]
fn no_upstream_test_is_listed_twice() {
    let mut seen = HashSet::new();
    for row in rows() {
        let upstream = row.split('|').nth(1).unwrap_or_default();
        for name in upstream.split('`').skip(1).step_by(2) {
            assert!(seen.insert(name), "{name} is there twice");
        }
    }
    assert_eq!(seen.len(), EXPECTED, "rows of the table");
}

/// Upstream tests in the table.
const EXPECTED: usize = 64;
