//! Typed reading of the checked table.

use std::time::Duration;

use super::problem::Problems;
use super::tree::{self, Node, Origin, Table, Value};

/// A configuration whose types and ranges are right, and the problems found after that.
pub(super) struct Reader<'a> {
    defaults: &'a Table,
    table: &'a Table,
    pub(super) problems: &'a mut Problems,
}

impl<'a> Reader<'a> {
    pub(super) fn new(defaults: &'a Table, table: &'a Table, problems: &'a mut Problems) -> Self {
        Self {
            defaults,
            table,
            problems,
        }
    }

    /// Notes a problem with the value of a key.
    pub(super) fn refuse(&mut self, key: &str, reason: impl Into<String>) {
        match tree::find(self.table, key) {
            Some(node) => self.problems.push(key, node, reason),
            None => self
                .problems
                .push_bare(key, &Origin::new(Origin::DEFAULT), reason),
        }
    }

    /// Where the value of a key was written.
    pub(super) fn origin(&self, key: &str) -> Origin {
        let node = tree::find(self.table, key);
        node.map_or_else(|| Origin::new(Origin::DEFAULT), |node| node.origin.clone())
    }

    /// Whether a source other than the embedded file set the key.
    pub(super) fn is_given(&self, key: &str) -> bool {
        tree::find(self.table, key).is_some_and(|node| !node.origin.is_default())
    }

    /// Whether the value of the key differs from its default.
    pub(super) fn is_changed(&self, key: &str) -> bool {
        let value = |table| tree::find(table, key).map(|node| &node.value);
        value(self.table) != value(self.defaults)
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

    pub(super) fn flag(&self, key: &str) -> bool {
        matches!(
            tree::find(self.table, key),
            Some(Node {
                value: Value::Bool(true),
                ..
            })
        )
    }

    /// The integer of a key, which is in the range that its declaration has.
    pub(super) fn number(&self, key: &str) -> usize {
        match tree::find(self.table, key).map(|node| &node.value) {
            Some(Value::Integer(number)) => usize::try_from(*number).unwrap_or_default(),
            _ => 0,
        }
    }

    /// The same for a key whose range fits.
    pub(super) fn small(&self, key: &str) -> u32 {
        u32::try_from(self.number(key)).unwrap_or(u32::MAX)
    }

    pub(super) fn milliseconds(&self, key: &str) -> Duration {
        Duration::from_millis(self.number(key) as u64)
    }
}
