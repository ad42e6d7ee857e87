use super::*;

/// Names that patterns are tried on.
const NAMES: [&str; 48] = [
    "specific.01!ab",
    "thumb",
    "",
    "abc",
    "a\nc",
    "ac",
    "ax",
    "cx",
    "!x",
    "b1",
    "d1",
    "-1",
    "]",
    "a",
    "b",
    "c",
    "z",
    "!",
    "-",
    "e",
    "^",
    "[",
    "[a",
    "a[",
    "[!",
    "[]",
    "x.y",
    "a+b",
    "aab",
    "a\\b",
    "\\]",
    "\\",
    "f",
    "&",
    "A",
    "+",
    "~",
    "|",
    "(a|b)",
    "é",
    "éa",
    "$",
    "^a",
    "[a-c",
    "x",
    "a\n",
    "0",
    ".",
];

/// Which of them `re.match(fnmatch.translate(pattern), name)` finds in Python 3.11.
const MATCHES: [(&str, &[&str]); 54] = [
    ("specific.*", &["specific.01!ab"]),
    ("thumb*", &["thumb"]),
    (
        "*",
        &[
            "specific.01!ab",
            "thumb",
            "",
            "abc",
            "a\nc",
            "ac",
            "ax",
            "cx",
            "!x",
            "b1",
            "d1",
            "-1",
            "]",
            "a",
            "b",
            "c",
            "z",
            "!",
            "-",
            "e",
            "^",
            "[",
            "[a",
            "a[",
            "[!",
            "[]",
            "x.y",
            "a+b",
            "aab",
            "a\\b",
            "\\]",
            "\\",
            "f",
            "&",
            "A",
            "+",
            "~",
            "|",
            "(a|b)",
            "é",
            "éa",
            "$",
            "^a",
            "[a-c",
            "x",
            "a\n",
            "0",
            ".",
        ],
    ),
    ("", &[""]),
    ("a?c", &["abc", "a\nc"]),
    ("[ab]x", &["ax"]),
    ("[!ab]x", &["cx", "!x"]),
    ("[a-c]1", &["b1"]),
    ("[!a-c]1", &["d1", "-1"]),
    ("[]a]", &["]", "a"]),
    (
        "[!]a]",
        &[
            "b", "c", "z", "!", "-", "e", "^", "[", "\\", "f", "&", "A", "+", "~", "|", "é", "$",
            "x", "0", ".",
        ],
    ),
    ("[z-a]", &[]),
    (
        "[!z-a]",
        &[
            "]", "a", "b", "c", "z", "!", "-", "e", "^", "[", "\\", "f", "&", "A", "+", "~", "|",
            "é", "$", "x", "0", ".",
        ],
    ),
    (
        "[z-a!b]",
        &[
            "]", "a", "c", "z", "!", "-", "e", "^", "[", "\\", "f", "&", "A", "+", "~", "|", "é",
            "$", "x", "0", ".",
        ],
    ),
    ("[a-c-e]", &["a", "b", "c", "-", "e"]),
    ("[a-]", &["a", "-"]),
    ("[-a]", &["a", "-"]),
    (
        "[!-a]",
        &[
            "]", "b", "c", "z", "!", "e", "^", "[", "\\", "f", "&", "A", "+", "~", "|", "é", "$",
            "x", "0", ".",
        ],
    ),
    ("[^a]", &["a", "^"]),
    ("[[]", &["["]),
    ("[a", &["[a"]),
    ("a[", &["a["]),
    ("[!", &["[!"]),
    ("[]", &["[]"]),
    ("x.y", &["x.y"]),
    ("a+b", &["a+b"]),
    ("a\\b", &["a\\b"]),
    ("[\\]]", &["\\]"]),
    ("[\\a]", &["a", "\\"]),
    ("[a-cd-f]", &["a", "b", "c", "e", "f"]),
    ("[x-cb-a]", &[]),
    ("[&&a]", &["a", "&"]),
    (
        "**a**",
        &[
            "specific.01!ab",
            "abc",
            "a\nc",
            "ac",
            "ax",
            "a",
            "[a",
            "a[",
            "a+b",
            "aab",
            "a\\b",
            "(a|b)",
            "éa",
            "^a",
            "[a-c",
            "a\n",
        ],
    ),
    (
        "?",
        &[
            "]", "a", "b", "c", "z", "!", "-", "e", "^", "[", "\\", "f", "&", "A", "+", "~", "|",
            "é", "$", "x", "0", ".",
        ],
    ),
    ("A*", &["A"]),
    ("[+--]", &["-", "+"]),
    ("[a-c", &["[a-c"]),
    ("(a|b)", &["(a|b)"]),
    ("é*", &["é", "éa"]),
    (
        "[!é]",
        &[
            "]", "a", "b", "c", "z", "!", "-", "e", "^", "[", "\\", "f", "&", "A", "+", "~", "|",
            "$", "x", "0", ".",
        ],
    ),
    ("[&~|]", &["&", "~", "|"]),
    ("$", &["$"]),
    ("^a", &["^a"]),
    ("[x-cbd]", &["b"]),
    ("[--0]", &["-", "0", "."]),
    (
        "[!a-]",
        &[
            "]", "b", "c", "z", "!", "e", "^", "[", "\\", "f", "&", "A", "+", "~", "|", "é", "$",
            "x", "0", ".",
        ],
    ),
    ("[a-a]", &["a"]),
    ("[b-a-]", &["-"]),
    ("[a--c]", &["c"]),
    ("[---]", &["-"]),
    (
        "[!!]",
        &[
            "]", "a", "b", "c", "z", "-", "e", "^", "[", "\\", "f", "&", "A", "+", "~", "|", "é",
            "$", "x", "0", ".",
        ],
    ),
    (
        "[!!a]",
        &[
            "]", "b", "c", "z", "-", "e", "^", "[", "\\", "f", "&", "A", "+", "~", "|", "é", "$",
            "x", "0", ".",
        ],
    ),
    ("specific.[0-9a-f][0-9a-f]*![!a]?", &[]),
    ("*.*!*", &["specific.01!ab"]),
];

fn capacities(patterns: &[(&str, usize)]) -> Capacities {
    let patterns: Vec<_> = patterns
        .iter()
        .map(|(pattern, capacity)| ((*pattern).to_owned(), *capacity))
        .collect();
    Capacities::new(100, &patterns).unwrap()
}

#[test]
fn patterns_match_what_they_match_in_python() {
    for (pattern, matching) in MATCHES {
        let capacities = capacities(&[(pattern, 1)]);
        let found: Vec<_> = NAMES
            .into_iter()
            .filter(|name| capacities.of(name) == 1)
            .collect();
        assert_eq!(found, matching, "{pattern:?}");
    }
}

#[test]
fn the_first_pattern_that_matches_counts() {
    let capacities = capacities(&[("specific.*", 1000), ("spec*", 5), ("jobs", 0)]);
    assert_eq!(capacities.of("specific.ab!cd"), 1000);
    assert_eq!(capacities.of("special"), 5);
    assert_eq!(capacities.of("jobs"), 0);
    assert_eq!(capacities.of("jobs2"), 100);
}

#[test]
fn a_pattern_that_is_too_large_is_named() {
    let pattern = "?".repeat(10_000_000);
    let error = Capacities::new(1, &[(pattern.clone(), 1)]).unwrap_err();
    assert_eq!(error.pattern, pattern);
}

#[test]
fn nodes_have_a_default_of_their_own_and_patterns_come_before_it() {
    const NODE: &str = "0123456789abcdef0123456789abcdef";
    let patterns = [(format!("specific.{NODE}!*1"), 7)];
    let capacities = Capacities::new(3, &patterns).unwrap().of_nodes(50);
    let lane = format!("specific.{NODE}.g3!room");
    let session = |last: char| format!("specific.{NODE}!000000010000000{last}");
    assert_eq!(capacities.of(&lane), 50);
    assert_eq!(capacities.of(&session('2')), 50);
    assert_eq!(capacities.of(&session('1')), 7);
    assert_eq!(capacities.of(&format!("specific.{NODE}!{NODE}")), 3);
    assert_eq!(capacities.of("thumbnails"), 3);
}
