//! Everything wrong with a configuration, in one message.

use std::fmt;

use super::secret;
use super::tree::{Node, Origin, Value};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The key, dotted; empty when a whole source is meant.
    pub(super) key: String,
    /// The value in TOML's notation, secrets masked; `None` where there is none or it is unknown
    /// whether it is one.
    pub(super) value: Option<String>,
    /// Where it was written.
    pub(super) source: String,
    /// What is wrong and what would be right.
    pub(super) reason: String,
}

/// Why there are no settings: all of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) struct ConfigError {
    /// In the order in which they were found; never empty.
    pub(super) problems: Vec<Problem>,
}

/// Collects problems while a configuration is read to its end.
#[derive(Debug, Default)]
pub(super) struct Problems {
    found: Vec<Problem>,
    warnings: Vec<String>,
}

impl Problems {
    /// Notes what is wrong with the value of a key.
    pub(super) fn push(&mut self, key: &str, node: &Node, reason: impl Into<String>) {
        let shown = secret::shown(key, &node.value);
        self.found.push(Problem {
            key: key.to_owned(),
            value: shown.map(|value| shorten(&value.to_string())),
            source: node.origin.to_string(),
            reason: reason.into(),
        });
    }

    /// Notes what is wrong about a key without showing a value: it is missing, or a table.
    pub(super) fn push_bare(&mut self, key: &str, origin: &Origin, reason: impl Into<String>) {
        self.push_source(key, &origin.to_string(), reason);
    }

    /// Notes what is wrong with a source or with text that is no value.
    pub(super) fn push_source(&mut self, key: &str, source: &str, reason: impl Into<String>) {
        let (key, source, reason) = (key.to_owned(), source.to_owned(), reason.into());
        self.found.push(Problem {
            key,
            value: None,
            source,
            reason,
        });
    }

    /// Whether a problem of this key was noted.
    pub(super) fn has(&self, key: &str) -> bool {
        self.found.iter().any(|problem| problem.key == key)
    }

    /// Notes what is allowed and dangerous.
    pub(super) fn warn(&mut self, key: &str, origin: &Origin, warning: &str) {
        self.warnings.push(format!("{key} ({origin}): {warning}"));
    }

    /// The warnings, if nothing was wrong.
    pub(super) fn finish(self) -> Result<Vec<String>, ConfigError> {
        match self.found.is_empty() {
            true => Ok(self.warnings),
            false => Err(self.into_error()),
        }
    }

    /// The error of what was noted.
    pub(super) fn into_error(self) -> ConfigError {
        ConfigError {
            problems: self.found,
        }
    }
}

/// Keeps a line readable when the value is a whole list of routes.
fn shorten(text: &str) -> String {
    const LONGEST: usize = 80;
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    let head: String = text.chars().take(LONGEST - 3).collect();
    format!("{head}...")
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.value, self.key.is_empty()) {
            (_, true) => write!(out, "{}: {}", self.source, self.reason),
            (None, false) => write!(out, "{} ({}): {}", self.key, self.source, self.reason),
            (Some(value), false) => {
                write!(
                    out,
                    "{} = {value} ({}): {}",
                    self.key, self.source, self.reason
                )
            }
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        let errors = if count == 1 { "error" } else { "errors" };
        write!(out, "the configuration has {count} {errors}:")?;
        self.problems
            .iter()
            .try_for_each(|problem| write!(out, "\n  {problem}"))
    }
}

/// The candidate nearest to what was written, when one is near enough to be what was meant.
pub(super) fn nearest<'a>(
    written: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .map(|candidate| (distance(written, candidate), candidate))
        .filter(|(edits, candidate)| *edits <= 1 + candidate.len().min(written.len()) / 5)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edits between two words: insert, delete, replace, or swap of neighbours (restricted
/// Damerau-Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    let mut previous = None;
    for (row, from) in left.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, to) in right.iter().enumerate() {
            let at =
                |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX - 1);
            let mut edits = (at(&last, column) + usize::from(from != *to))
                .min(at(&last, column + 1) + 1)
                .min(at(&current, column) + 1);
            let neighbour = column.checked_sub(1).and_then(|index| right.get(index));
            if previous == Some(*to) && neighbour == Some(&from) {
                edits = edits.min(at(&before, column - 1) + 1);
            }
            current.push(edits);
        }
        previous = Some(from);
        before = std::mem::replace(&mut last, current);
    }
    last.last().copied().unwrap_or(0)
}

/// `expected X, found Y` for a value of the wrong type.
pub(super) fn wrong_type(expected: &str, found: &Value) -> String {
    format!("expected {expected}, found {}", found.kind())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swap_of_neighbours_is_one_edit() {
        assert_eq!(distance("bnid", "bind"), 1);
        assert_eq!(distance("", "bind"), 4);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn the_nearest_word_is_suggested_and_a_far_one_is_not() {
        let words = ["bind", "workers", "origins"];
        assert_eq!(nearest("bnid", words.into_iter()), Some("bind"));
        assert_eq!(nearest("worker", words.into_iter()), Some("workers"));
        assert_eq!(nearest("colour", words.into_iter()), None);
        assert_eq!(nearest("bind", ["ping"].into_iter()), None);
    }

    #[test]
    fn a_long_value_is_cut() {
        assert_eq!(shorten(&"x".repeat(100)).len(), 80);
        assert_eq!(shorten("short"), "short");
    }
}
