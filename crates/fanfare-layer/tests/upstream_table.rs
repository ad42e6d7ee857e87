//! The table of upstream tests of layers names tests that exist.

use std::collections::HashSet;

const TABLE: &str = include_str!("../../../docs/UPSTREAM-TESTS.md");
/// Upstream tests in the table, one for each file that has it.
const EXPECTED: usize = 72;
/// Whole files are ports: each of their tests has its row.
const PORTS: [&str; 2] = [
    include_str!("upstream_core.rs"),
    include_str!("upstream_formats.rs"),
];
const OTHERS: [&str; 5] = [
    include_str!("clusters.rs"),
    include_str!("conformance.rs"),
    include_str!("queues.rs"),
    include_str!("../src/queue/tests.rs"),
    include_str!("../../fanfare-protocol/tests/protocol/names.rs"),
];

fn rows() -> impl Iterator<Item = &'static str> {
    let lines = TABLE.lines().skip_while(|line| *line != "# Layers");
    lines.filter(|line| line.starts_with("| `test_"))
}

/// The names in backticks of some columns of a row.
fn names(columns: &str) -> impl Iterator<Item = &str> {
    let quoted = columns.split('`').skip(1).step_by(2);
    quoted.filter(|name| name.contains('_') && !name.contains(['.', '/']))
}

fn functions(source: &str) -> impl Iterator<Item = &str> {
    source.lines().filter_map(|line| {
        let line = line.strip_prefix("pub(crate) ").unwrap_or(line);
        let line = line.strip_prefix("async ").unwrap_or(line);
        line.strip_prefix("fn ")?
            .split_once('(')
            .map(|(name, _)| name)
    })
}

/// The functions below an attribute that makes them tests.
fn tests(source: &str) -> impl Iterator<Item = &str> {
    let pieces = source.split("test]\n").skip(1);
    pieces.filter_map(|piece| functions(piece).next())
}

#[test]
fn every_test_that_the_table_of_layers_names_exists() {
    let sources = PORTS.into_iter().chain(OTHERS);
    let known: HashSet<_> = sources.flat_map(functions).collect();
    let mut named = HashSet::new();
    for row in rows() {
        let (_, columns) = row[1..].split_once('|').unwrap();
        let own: Vec<_> = names(columns).collect();
        assert!(!own.is_empty() || columns.contains("left out"), "{row}");
        for name in own {
            assert!(known.contains(name), "there is no test {name}");
            named.insert(name);
        }
    }
    let ported = PORTS.into_iter().flat_map(tests);
    let unnamed: Vec<_> = ported.filter(|test| !named.contains(test)).collect();
    assert!(unnamed.is_empty(), "not in the table: {unnamed:?}");
}

#[test]
fn every_upstream_test_of_a_layer_is_in_the_table() {
    let upstream = rows().map(|row| names(row[1..].split('|').next().unwrap()).count());
    assert_eq!(upstream.sum::<usize>(), EXPECTED, "rows of the table");
}
