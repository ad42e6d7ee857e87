//! How many messages may wait in a channel.

use crate::pattern::{Pattern, PatternError};

/// The limits of a sender, as channels_redis' `capacity` and `channel_capacity`.
#[derive(Debug, Clone)]
pub struct Capacities {
    default: usize,
    /// For nodes of Fanfare.
    nodes: usize,
    /// In the order in which they are tried.
    patterns: Vec<(Pattern, usize)>,
}

impl Capacities {
    /// `default` for all channels but those that match one of the patterns, of which the first
    /// counts. In a pattern `*` means any characters and `?` any one character; everything else
    /// means itself, and capitals are not small letters. Python's `fnmatch` knows sets (`[ab]`) as
    /// well.
    ///
    /// # Errors
    /// [`PatternError`] names a pattern with a `[`.
    pub fn new(default: usize, patterns: &[(String, usize)]) -> Result<Self, PatternError> {
        let patterns = patterns
            .iter()
            .map(|(pattern, capacity)| Ok((Pattern::of_channels(pattern)?, *capacity)))
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

    /// That of a channel, by its full name; `fanfare`: a node of Fanfare reads it.
    pub(in crate::redis) fn of(&self, channel: &str, fanfare: bool) -> usize {
        let mut patterns = self.patterns.iter();
        match patterns.find(|(pattern, _)| pattern.matches(channel)) {
            Some((_, capacity)) => *capacity,
            None if fanfare => self.nodes,
            None => self.default,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capacities(patterns: &[(&str, usize)]) -> Capacities {
        let patterns: Vec<_> = patterns
            .iter()
            .map(|(pattern, capacity)| ((*pattern).to_owned(), *capacity))
            .collect();
        Capacities::new(100, &patterns).unwrap()
    }

    #[test]
    fn the_first_pattern_that_matches_counts() {
        let capacities = capacities(&[("specific.*", 1000), ("spec*", 5), ("jobs", 0)]);
        assert_eq!(capacities.of("specific.ab!cd", false), 1000);
        assert_eq!(capacities.of("special", false), 5);
        assert_eq!(capacities.of("jobs", false), 0);
        assert_eq!(capacities.of("jobs2", false), 100);
    }

    #[test]
    fn nodes_have_a_default_of_their_own_and_patterns_come_before_it() {
        let patterns = [("specific.*!*1".to_owned(), 7)];
        let capacities = Capacities::new(3, &patterns).unwrap().of_nodes(50);
        assert_eq!(capacities.of("specific.ab!02", true), 50);
        assert_eq!(capacities.of("specific.ab!01", true), 7);
        assert_eq!(capacities.of("specific.ab!02", false), 3);
    }
}
