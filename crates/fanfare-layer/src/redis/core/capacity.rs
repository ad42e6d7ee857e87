//! How many messages may wait in a channel.

mod glob;

use regex_lite::Regex;

use super::keys::is_fanfare;

/// The limits of a sender, as channels_redis' `capacity` and `channel_capacity`.
#[derive(Debug, Clone)]
pub struct Capacities {
    default: usize,
    /// For nodes of Fanfare.
    nodes: usize,
    /// In the order in which they are tried.
    patterns: Vec<(Regex, usize)>,
}

/// Why a pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pattern:?} is no pattern: {reason}")]
pub struct CapacityError {
    /// As it was given.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Capacities {
    /// `default` for all channels but those that match one of the patterns, of which the first
    /// counts; in a pattern `*`, `?` and `[..]` mean what they mean to Python's `fnmatch`, and
    /// capitals are not small letters. What is no set to `fnmatch`, such as `[a`, stands for itself.
    ///
    /// # Errors
    /// [`CapacityError`] names the pattern, which can only be too large.
    pub fn new(default: usize, patterns: &[(String, usize)]) -> Result<Self, CapacityError> {
        let patterns = patterns
            .iter()
            .map(|(pattern, capacity)| Ok((compiled(pattern)?, *capacity)))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            default,
            nodes: default,
            patterns,
        })
    }

    /// With another default for the lanes of nodes: one of them has the messages of thousands of
    /// sessions, and is emptied as fast as they come.
    #[must_use]
    pub fn of_nodes(self, nodes: usize) -> Self {
        Self { nodes, ..self }
    }

    /// That of a channel, by its full name.
    pub(super) fn of(&self, channel: &str) -> usize {
        let first = self
            .patterns
            .iter()
            .find(|(pattern, _)| pattern.is_match(channel));
        match first {
            Some((_, capacity)) => *capacity,
            None if is_fanfare(channel) => self.nodes,
            None => self.default,
        }
    }
}

fn compiled(pattern: &str) -> Result<Regex, CapacityError> {
    Regex::new(&glob::translate(pattern)).map_err(|error| CapacityError {
        pattern: pattern.to_owned(),
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests;
