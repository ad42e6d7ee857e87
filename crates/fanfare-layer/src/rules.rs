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

impl GroupRules {
    /// Adds a rule behind the others.
    ///
    /// # Errors
    /// [`PatternError`] for a pattern that no group's name can match, and for a rule that never
    /// counts, because an earlier one matches all of its groups.
    pub fn push(&mut self, pattern: &str) -> Result<(), PatternError> {
        let compiled = Pattern::of_groups(pattern)?;
        // A star of the later pattern is matched by a star of the earlier one only: no part of a
        // pattern of groups means the character itself.
        if let Some(earlier) = self.iter().find(|it| it.compiled.matches(pattern)) {
            let reason = format!(
                "it never counts, because the earlier rule {:?} matches the same groups",
                earlier.pattern
            );
            return Err(PatternError::new(pattern, reason));
        }
        self.0.push(GroupRule {
            pattern: pattern.to_owned(),
            compiled,
        });
        Ok(())
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

    fn rules(patterns: &[&str]) -> Result<GroupRules, PatternError> {
        let mut rules = GroupRules::default();
        for pattern in patterns {
            rules.push(pattern)?;
        }
        Ok(rules)
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
        for (patterns, hidden, hides) in [
            (&["chat_*", "chat_vip_*"][..], "chat_vip_*", "\"chat_*\""),
            (&["news", "x*", "news"], "news", "\"news\""),
            (&["*", "a"], "a", "\"*\""),
            (&["a*c", "ab*bc"], "ab*bc", "\"a*c\""),
        ] {
            let error = rules(patterns).unwrap_err();
            assert_eq!(error.pattern, hidden);
            assert!(error.reason.contains(hides), "{error}");
        }
        assert!(rules(&["a*c", "a*", "*"]).is_ok());
    }

    #[test]
    fn a_pattern_that_no_name_matches_is_refused() {
        let long = "g".repeat(256);
        for (pattern, reason) in [
            ("", "it is empty"),
            ("a\n", "control character"),
            (&long, "255 bytes"),
        ] {
            let error = rules(&[pattern]).unwrap_err();
            assert!(error.reason.contains(reason), "{error}");
        }
        assert!(rules(&[&format!("*{}*", "g".repeat(255))]).is_ok());
    }
}
