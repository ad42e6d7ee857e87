//! Rules for groups by patterns of their names.

use fanfare_protocol::GroupName;

use crate::pattern::{Pattern, PatternError};

/// What holds for the groups whose names match a pattern; one table of `[[groups]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupRule {
    /// The pattern as it was given: `*` means any characters, everything else means itself.
    pub pattern: String,
    compiled: Pattern,
}

/// Rules for groups, in the order of their configuration. The first that matches a group counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupRules(Vec<GroupRule>);

/// Why a rule cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("group rule {index}: {reason}")]
pub struct GroupRuleError {
    /// The place of the rule, from 0.
    pub index: usize,
    /// What is wrong with it.
    pub reason: String,
}

impl GroupRule {
    /// The keys that a rule has.
    pub const KEYS: &[&str] = &["pattern"];

    /// Reads a rule from its keys and values.
    ///
    /// # Errors
    /// A sentence about a key that is unknown, twice there or missing, or about the pattern.
    pub fn from_options(options: &[(String, String)]) -> Result<Self, String> {
        let mut pattern = None;
        for (key, value) in options {
            if key != "pattern" {
                let known = Self::KEYS.join(", ");
                return Err(format!("the key {key:?} is not known; a rule has: {known}"));
            }
            if pattern.replace(value).is_some() {
                return Err(format!("the key {key:?} is there twice"));
            }
        }
        let pattern = pattern.ok_or("the key \"pattern\" is missing")?;
        Self::new(pattern).map_err(|error| error.to_string())
    }

    /// A rule for a pattern.
    ///
    /// # Errors
    /// [`PatternError`] for a pattern that no group's name can match.
    pub fn new(pattern: &str) -> Result<Self, PatternError> {
        Ok(Self {
            pattern: pattern.to_owned(),
            compiled: Pattern::of_groups(pattern)?,
        })
    }
}

impl GroupRules {
    /// Checks rules together.
    ///
    /// # Errors
    /// [`GroupRuleError`] for a rule that never counts, because an earlier one matches all of its
    /// groups.
    pub fn new(rules: Vec<GroupRule>) -> Result<Self, GroupRuleError> {
        for (index, rule) in rules.iter().enumerate() {
            // A star of the later pattern is matched by a star of the earlier one only: no part of
            // a pattern of groups means the character itself.
            let mut earlier = rules.iter().take(index);
            if let Some(earlier) = earlier.find(|it| it.compiled.matches(&rule.pattern)) {
                return Err(GroupRuleError {
                    index,
                    reason: format!(
                        "the pattern {:?} never counts, because {:?} before it matches the same \
                         groups and the first match counts",
                        rule.pattern, earlier.pattern
                    ),
                });
            }
        }
        Ok(Self(rules))
    }

    /// The rule of a group, if one matches.
    pub fn of(&self, group: &GroupName) -> Option<&GroupRule> {
        let mut rules = self.0.iter();
        rules.find(|rule| rule.compiled.matches(group.as_str()))
    }

    /// All rules, in order.
    pub fn iter(&self) -> impl Iterator<Item = &GroupRule> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(patterns: &[&str]) -> Result<GroupRules, GroupRuleError> {
        let rules = patterns.iter().map(|it| GroupRule::new(it).unwrap());
        GroupRules::new(rules.collect())
    }

    #[test]
    fn the_first_rule_that_matches_a_group_counts() {
        let rules = rules(&["chat_vip_*", "chat_*", "news"]).unwrap();
        let of = |name: &str| {
            let group = GroupName::parse(name).unwrap();
            rules.of(&group).map(|rule| rule.pattern.as_str())
        };
        assert_eq!(of("chat_vip_1"), Some("chat_vip_*"));
        assert_eq!(of("chat_1"), Some("chat_*"));
        assert_eq!(of("news"), Some("news"));
        assert_eq!(of("newspaper"), None);
    }

    #[test]
    fn a_rule_that_never_counts_is_refused_with_the_one_that_hides_it() {
        for (patterns, index, hides) in [
            (&["chat_*", "chat_vip_*"][..], 1, "\"chat_*\""),
            (&["news", "x*", "news"], 2, "\"news\""),
            (&["*", "a"], 1, "\"*\""),
            (&["a*c", "ab*bc"], 1, "\"a*c\""),
        ] {
            let error = rules(patterns).unwrap_err();
            assert_eq!(error.index, index);
            assert!(error.reason.contains(hides), "{error}");
        }
        assert!(rules(&["a*c", "a*", "*"]).is_ok());
    }

    #[test]
    fn a_rule_is_read_from_its_keys_and_says_what_is_wrong() {
        let read = |options: &[(&str, &str)]| {
            let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
            GroupRule::from_options(&options.iter().map(owned).collect::<Vec<_>>())
        };
        assert_eq!(read(&[("pattern", "chat_*")]).unwrap().pattern, "chat_*");
        for (options, reason) in [
            (&[][..], "\"pattern\" is missing"),
            (&[("pattern", "")], "it is empty"),
            (&[("pattern", "a\n")], "control character"),
            (&[("pattern", "a"), ("pattern", "b")], "twice"),
            (
                &[("pattern", "a"), ("history", "9")],
                "\"history\" is not known; a rule has: pattern",
            ),
        ] {
            let error = read(options).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}
