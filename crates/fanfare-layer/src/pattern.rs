//! Patterns of names in a configuration.

/// A pattern that matches whole names. `*` means any characters; in patterns of channels `?` means
/// any one character. Everything else means itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<Part>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Any characters, also none.
    Any,
    /// One character.
    One,
    Is(char),
}

/// Why a pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the pattern {pattern:?} cannot be used: {reason}")]
pub struct PatternError {
    /// As it was given.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

impl PatternError {
    pub(crate) fn new(pattern: &str, reason: impl Into<String>) -> Self {
        Self {
            pattern: pattern.to_owned(),
            reason: reason.into(),
        }
    }
}

impl Pattern {
    /// A pattern of channels, where `*` and `?` mean what they mean to Python's `fnmatch`.
    ///
    /// # Errors
    /// [`PatternError`] for a `[`, which begins a set in `fnmatch`.
    #[cfg_attr(
        not(feature = "redis"),
        expect(dead_code, reason = "only core has them")
    )]
    pub(crate) fn of_channels(text: &str) -> Result<Self, PatternError> {
        if text.contains('[') {
            return Err(PatternError::new(
                text,
                "it has a \"[\"; only \"*\" (any characters) and \"?\" (one character) are known \
                 here, so write one pattern for each character of the set",
            ));
        }
        Ok(Self::new(text, true))
    }

    /// A pattern of groups, where `*` means any characters.
    ///
    /// # Errors
    /// [`PatternError`] for one that no group's name can match.
    pub(crate) fn of_groups(text: &str) -> Result<Self, PatternError> {
        const LONGEST: usize = 255;
        let literal = text.bytes().filter(|byte| *byte != b'*').count();
        let reason = match text {
            "" => "it is empty, so it matches no group",
            _ if literal > LONGEST => "the name of a group has at most 255 bytes",
            _ if text.chars().any(char::is_control) => {
                "the name of a group has no control characters"
            }
            _ => return Ok(Self::new(text, false)),
        };
        Err(PatternError::new(text, reason))
    }

    fn new(text: &str, question_marks: bool) -> Self {
        let part = |letter| match letter {
            '*' => Part::Any,
            '?' if question_marks => Part::One,
            other => Part::Is(other),
        };
        let mut parts: Vec<_> = text.chars().map(part).collect();
        // A row of stars is one star.
        parts.dedup_by(|next, last| (*next, *last) == (Part::Any, Part::Any));
        Self(parts)
    }

    /// Whether the whole name matches.
    pub(crate) fn matches(&self, name: &str) -> bool {
        let mut rest = name.chars();
        let mut at = 0;
        // Where to go on when a later part does not fit: behind the last star, one letter further.
        let mut retry = None;
        loop {
            let before = rest.clone();
            match (self.0.get(at), rest.next()) {
                (None, None) => return true,
                (Some(Part::Any), _) => {
                    at += 1;
                    retry = Some((at, before.clone()));
                    rest = before;
                }
                (Some(Part::One), Some(_)) => at += 1,
                (Some(Part::Is(wanted)), Some(letter)) if *wanted == letter => at += 1,
                _ => {
                    let Some((behind, from)) = &mut retry else {
                        return false;
                    };
                    if from.next().is_none() {
                        return false;
                    }
                    at = *behind;
                    rest = from.clone();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_match_what_they_match_in_fnmatch() {
        for (pattern, name, matches) in [
            ("specific.*", "specific.01!ab", true),
            ("specific.*", "special", false),
            ("*", "", true),
            ("*", "a\nc", true),
            ("", "", true),
            ("", "a", false),
            ("a?c", "abc", true),
            ("a?c", "a\nc", true),
            ("a?c", "ac", false),
            ("?", "é", true),
            ("**a**", "xay", true),
            ("**a**", "xy", false),
            ("*.*!*", "specific.01!ab", true),
            ("*ab", "aab", true),
            ("*ab", "abb", false),
            ("a*b*c", "abcbc", true),
            ("a*b*c", "acb", false),
            ("A*", "a", false),
            ("(a|b)", "(a|b)", true),
            ("x.y", "xay", false),
            ("a\\b", "a\\b", true),
            ("^a$", "a", false),
        ] {
            let found = Pattern::of_channels(pattern).unwrap().matches(name);
            assert_eq!(found, matches, "{pattern:?} {name:?}");
        }
    }

    #[test]
    fn a_set_is_refused_by_a_sentence_that_names_the_pattern() {
        let error = Pattern::of_channels("jobs[12]").unwrap_err();
        assert_eq!(error.pattern, "jobs[12]");
        let told = error.to_string();
        assert!(
            told.contains("\"jobs[12]\" cannot be used: it has a \"[\""),
            "{told}"
        );
    }

    #[test]
    fn many_stars_match_in_time_that_does_not_explode() {
        let pattern = Pattern::of_channels(&"a*".repeat(200)).unwrap();
        assert!(!pattern.matches(&format!("{}b", "a".repeat(199))));
        assert!(pattern.matches(&"a".repeat(2000)));
    }
}
