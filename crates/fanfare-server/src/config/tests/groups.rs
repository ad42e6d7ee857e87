//! `[[groups]]`.

use super::*;

#[test]
fn rules_of_groups_keep_their_order() {
    let settings = settings(
        "[[groups]]\npattern = 'chat_*'\n[[groups]]\npattern = '*'",
        &[],
        &[],
    );
    let patterns: Vec<_> = settings.groups.iter().map(|rule| &rule.pattern).collect();
    assert_eq!(patterns, ["chat_*", "*"]);
}

#[test]
fn a_rule_that_cannot_count_is_refused() {
    for (rule, start, reason) in [
        ("", "groups[0].pattern (my.toml:1)", "is missing"),
        (
            "pattern = ''",
            "groups[0].pattern = \"\" (my.toml:2)",
            "is empty",
        ),
        ("pattern = 7", "groups[0].pattern = 7", "expected text"),
        (
            "pattern = \"a\\n*\"",
            "groups[0].pattern",
            "control characters",
        ),
        (
            "pattern = 'a'\nhistory = 1",
            "groups[0].history (my.toml:3)",
            "known here: pattern",
        ),
        (
            "pattern = 'a'\npatern = 'b'",
            "groups[0].patern",
            "did you mean groups[0].pattern?",
        ),
        (
            "pattern = 'a'\n[[groups]]\npattern = 'a'",
            "groups[1].pattern",
            "earlier rule",
        ),
    ] {
        let lines = errors(&format!("[[groups]]\n{rule}"), &[], &[]);
        assert_eq!(lines.len(), 1, "{rule}: {lines:?}");
        assert!(
            lines[0].starts_with(start) && lines[0].contains(reason),
            "{lines:?}"
        );
    }
    let long = format!("[[groups]]\npattern = '{}*'", "g".repeat(256));
    assert!(errors(&long, &[], &[])[0].contains("255 bytes"));
    assert!(refusal(&["groups=chat_*"]).contains("written [[groups]]"));
}
