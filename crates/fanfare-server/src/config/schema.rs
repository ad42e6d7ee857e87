//! The check of the merged tree against the declared keys.

use super::keys::{self, Entry, Key, Kind};
use super::problem::{Problems, nearest, wrong_type};
use super::tree::{Node, Table, Value, quote_key};

/// Checks `actual` and answers it without what was refused. Refused values of sections are replaced
/// by their `defaults`, so every key of a section has a value that the key takes.
pub(super) fn check(defaults: &Table, actual: &Table, problems: &mut Problems) -> Table {
    let place = Place {
        section: String::new(),
        key: String::new(),
    };
    table(&place, Some(defaults), actual, problems)
}

/// A table of the tree.
struct Place {
    /// The path of its section.
    section: String,
    /// The path that errors show.
    key: String,
}

fn table(
    place: &Place,
    defaults: Option<&Table>,
    actual: &Table,
    problems: &mut Problems,
) -> Table {
    let mut kept = defaults.cloned().unwrap_or_default();
    for (name, node) in actual {
        let key = join(&place.key, name);
        let node = match (keys::entry(&place.section, name), &node.value) {
            (None, _) => refuse(&key, node, unknown(place, name), problems),
            (Some(Entry::Key(declared)), _) => value(&key, declared, node, problems),
            (Some(Entry::Table(section)), Value::Table(inner)) => {
                let defaults = defaults
                    .and_then(|defaults| defaults.get(name))
                    .and_then(Node::table);
                let checked = table(&Place { section, key }, defaults, inner, problems);
                Some(with(node, Value::Table(checked)))
            }
            (Some(Entry::Tables(section)), Value::List(items)) => {
                let checked = tables(&section, &key, items, problems);
                Some(with(node, Value::List(checked)))
            }
            (Some(Entry::Table(_)), found) => {
                refuse(&key, node, wrong_type("a table", found), problems)
            }
            (Some(Entry::Tables(_)), found) => {
                let expected = format!("a list of tables, written [[{name}]]");
                refuse(&key, node, wrong_type(&expected, found), problems)
            }
        };
        if let Some(node) = node {
            kept.insert(name.clone(), node);
        }
    }
    kept
}

fn tables(section: &str, key: &str, items: &[Node], problems: &mut Problems) -> Vec<Node> {
    let mut kept = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let place = Place {
            section: section.to_owned(),
            key: format!("{key}[{index}]"),
        };
        if let Value::Table(inner) = &item.value {
            let checked = table(&place, None, inner, problems);
            kept.push(with(item, Value::Table(checked)));
        } else {
            let reason = wrong_type("a table", &item.value);
            problems.push(&place.key, item, reason);
        }
    }
    kept
}

/// The value as far as the key takes it, or `None` when it takes nothing of it.
fn value(key: &str, declared: &Key, node: &Node, problems: &mut Problems) -> Option<Node> {
    let reason = match (declared.kind, &node.value) {
        (Kind::Text | Kind::TextOrTexts, Value::Text(_)) | (Kind::Flag, Value::Bool(_)) => {
            return Some(node.clone());
        }
        (Kind::WordOrWords, Value::Text(text)) => {
            if !text.contains(',') {
                return Some(node.clone());
            }
            with_comma(text)
        }
        (Kind::Number(least, most), Value::Integer(number)) => {
            if (least..=most).contains(number) {
                return Some(node.clone());
            }
            format!("must be from {least} to {most}")
        }
        (Kind::Choice(words), Value::Text(text)) => {
            if words.contains(&text.as_str()) {
                return Some(node.clone());
            }
            one_of(words)
        }
        (Kind::Words | Kind::WordOrWords, Value::List(items)) if items.iter().any(has_comma) => {
            for (index, item) in items.iter().enumerate().filter(|(_, item)| has_comma(item)) {
                let reason = with_comma(item.text().unwrap_or_default());
                problems.push(&format!("{key}[{index}]"), item, reason);
            }
            return None;
        }
        (
            Kind::TextOrTexts
            | Kind::Texts
            | Kind::WordOrWords
            | Kind::Words
            | Kind::Hosts
            | Kind::Pairs,
            Value::List(items),
        ) => {
            return Some(with(node, list(key, declared.kind, items, problems)));
        }
        (kind, found) => wrong_type(expected(kind), found),
    };
    refuse(key, node, reason, problems)
}

/// `must be one of "a", "b"`.
pub(super) fn one_of(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    format!("must be one of {}", words.join(", "))
}

fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Choice(_) => "text",
        Kind::Flag => "true or false",
        Kind::Number(..) => "an integer",
        Kind::TextOrTexts | Kind::WordOrWords => "text or a list of texts",
        Kind::Texts | Kind::Words => "a list of texts",
        Kind::Hosts => "a list of URLs",
        Kind::Pairs => "a list of pairs",
    }
}

fn list(key: &str, kind: Kind, items: &[Node], problems: &mut Problems) -> Value {
    let mut kept = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let key = format!("{key}[{index}]");
        let (expected, fits) = match (kind, &item.value) {
            (Kind::Hosts, found) => (
                "a URL or a table",
                matches!(found, Value::Text(_) | Value::Table(_) | Value::List(_)),
            ),
            (Kind::Pairs, found) => (
                "a pair such as [\"specific.*\", 1000]",
                matches!(found, Value::List(_)),
            ),
            (_, found) => ("text", matches!(found, Value::Text(_))),
        };
        if fits {
            kept.push(item.clone());
        } else {
            problems.push(&key, item, wrong_type(expected, &item.value));
        }
    }
    Value::List(kept)
}

fn has_comma(node: &Node) -> bool {
    node.text().is_some_and(|text| text.contains(','))
}

/// Why a text with a comma is refused. The text itself may be a secret.
fn with_comma(text: &str) -> String {
    let count = text.split(',').count();
    format!("must not have a comma; {count} entries are a list of {count} texts: [\"..\", \"..\"]")
}

fn refuse(
    key: &str,
    node: &Node,
    reason: impl Into<String>,
    problems: &mut Problems,
) -> Option<Node> {
    problems.push(key, node, reason);
    None
}

fn with(node: &Node, value: Value) -> Node {
    Node {
        value,
        origin: node.origin.clone(),
    }
}

fn unknown(place: &Place, name: &str) -> String {
    let known = keys::names(&place.section);
    if let Some(meant) = nearest(name, known.iter().copied()) {
        return format!("unknown key; did you mean {}?", join(&place.key, meant));
    }
    // Forgetting the section is as common as misspelling the key.
    match keys::place_of(name) {
        Some(elsewhere) if place.section.is_empty() => {
            format!("unknown key; did you mean {elsewhere}?")
        }
        _ => format!("unknown key; known here: {}", known.join(", ")),
    }
}

/// A name after the path that it stands under.
pub(super) fn join(path: &str, name: &str) -> String {
    let name = quote_key(name);
    if path.is_empty() {
        name
    } else {
        format!("{path}.{name}")
    }
}
