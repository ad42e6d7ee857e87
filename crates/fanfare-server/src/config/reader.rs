//! Typed reading of the checked table.

use std::time::Duration;

use super::problem::Problems;
use super::tree::{self, Node, Origin, Table, Value};

/// Longer waits are mistakes in the unit.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A configuration whose types are right, and what turns out wrong with its values.
pub(super) struct Reader<'a> {
    schema: &'a Table,
    table: &'a Table,
    pub(super) problems: &'a mut Problems,
}

impl<'a> Reader<'a> {
    pub(super) fn new(schema: &'a Table, table: &'a Table, problems: &'a mut Problems) -> Self {
        Self {
            schema,
            table,
            problems,
        }
    }

    /// Says what is wrong with the value of a key.
    pub(super) fn refuse(&mut self, key: &str, reason: impl Into<String>) {
        match tree::find(self.table, key) {
            Some(node) => self.problems.push(key, node, reason),
            None => self
                .problems
                .push_bare(key, &Origin::new(Origin::DEFAULT), reason),
        }
    }

    /// Whether a source other than the embedded file set the key.
    pub(super) fn is_given(&self, key: &str) -> bool {
        tree::find(self.table, key).is_some_and(|node| !node.origin.is_default())
    }

    /// Whether the key says something else than the embedded file does.
    pub(super) fn is_changed(&self, key: &str) -> bool {
        let value = |table| tree::find(table, key).map(|node| &node.value);
        value(self.table) != value(self.schema)
    }

    /// The texts of a key that takes one or several, each with the key to blame.
    pub(super) fn entries(&self, key: &str) -> Vec<(String, &'a Node)> {
        match tree::find(self.table, key) {
            Some(
                node @ Node {
                    value: Value::Text(_),
                    ..
                },
            ) => vec![(key.to_owned(), node)],
            Some(node) => (node.items().iter().enumerate())
                .map(|(index, item)| (format!("{key}[{index}]"), item))
                .collect(),
            None => Vec::new(),
        }
    }

    /// The text of a key.
    pub(super) fn text(&self, key: &str) -> &'a str {
        tree::find(self.table, key)
            .and_then(Node::text)
            .unwrap_or_default()
    }

    /// The text of a key that must be one of a few words.
    pub(super) fn choice(&mut self, key: &str, words: &[&str]) -> &'a str {
        let text = self.text(key);
        if !words.contains(&text) {
            let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
            self.refuse(key, format!("must be one of {}", words.join(", ")));
        }
        text
    }

    pub(super) fn flag(&self, key: &str) -> bool {
        matches!(
            tree::find(self.table, key),
            Some(Node {
                value: Value::Bool(true),
                ..
            })
        )
    }

    fn integer(&mut self, key: &str, least: i64, most: i64) -> i64 {
        match tree::find(self.table, key) {
            Some(Node {
                value: Value::Integer(number),
                ..
            }) if (least..=most).contains(number) => *number,
            _ => {
                self.refuse(key, format!("must be from {least} to {most}"));
                least
            }
        }
    }

    pub(super) fn number(&mut self, key: &str, least: i64, most: i64) -> usize {
        usize::try_from(self.integer(key, least, most)).unwrap_or_default()
    }

    pub(super) fn milliseconds(&mut self, key: &str, least: i64) -> Duration {
        let number = self.integer(key, least, DAY_MS);
        Duration::from_millis(u64::try_from(number).unwrap_or_default())
    }
}
