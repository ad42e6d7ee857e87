//! The embedded file as a schema: which keys there are and what type each has.

use super::problem::{Problems, nearest, wrong_type};
use super::tree::{Node, Table, Value, quote_key};

/// What a key takes. The default in the embedded file decides, except where a key takes more than
/// one type.
enum Shape<'a> {
    Text,
    Integer,
    Bool,
    /// One text, or several.
    TextOrTexts,
    Texts,
    /// Redis hosts: texts, tables or `[host, port]`.
    Hosts,
    /// Pairs of a text and a number.
    Pairs,
    /// `[[routes]]`, each checked against this one.
    Routes(&'a Table),
    Section(&'a Table),
}

/// Checks `actual` against the schema and answers it without what was refused: every key of the
/// schema's sections is there, with a value of a type that the key takes.
pub(super) fn check(schema: &Table, actual: &Table, problems: &mut Problems) -> Table {
    section("", schema, actual, problems)
}

fn shape<'a>(key: &str, default: &'a Node) -> Shape<'a> {
    match (key, &default.value) {
        ("http.bind" | "http.origins", _) => Shape::TextOrTexts,
        ("layer.redis.hosts", _) => Shape::Hosts,
        ("layer.core.channel_capacity", _) => Shape::Pairs,
        ("routes", Value::List(routes)) => match routes.first().and_then(Node::table) {
            Some(exemplar) => Shape::Routes(exemplar),
            None => Shape::Texts,
        },
        (_, Value::Text(_) | Value::Odd(_)) => Shape::Text,
        (_, Value::Integer(_)) => Shape::Integer,
        (_, Value::Bool(_)) => Shape::Bool,
        (_, Value::List(_)) => Shape::Texts,
        (_, Value::Table(table)) => Shape::Section(table),
    }
}

fn section(path: &str, schema: &Table, actual: &Table, problems: &mut Problems) -> Table {
    let root = path.is_empty().then_some(schema);
    let elsewhere = |name: &str| root.and_then(|root| place_of(root, name));
    let mut kept = schema.clone();
    for (name, node) in actual {
        let key = join(path, name);
        match schema.get(name) {
            None => {
                // Forgetting the section is as common as misspelling the key.
                let reason = match elsewhere(name) {
                    Some(place) if nearest(name, keys(schema)).is_none() => {
                        format!("unknown key; did you mean {place}?")
                    }
                    _ => unknown(path, name, schema),
                };
                problems.push(&key, node, reason);
            }
            Some(default) => {
                if let Some(node) = value(&key, shape(&key, default), node, problems) {
                    kept.insert(name.clone(), node);
                }
            }
        }
    }
    kept
}

/// The value as far as it fits the shape, or `None` when nothing of it does.
fn value(key: &str, shape: Shape<'_>, node: &Node, problems: &mut Problems) -> Option<Node> {
    let expected = match (shape, &node.value) {
        (Shape::Text | Shape::TextOrTexts, Value::Text(_))
        | (Shape::Integer, Value::Integer(_))
        | (Shape::Bool, Value::Bool(_)) => return Some(node.clone()),
        (Shape::Section(schema), Value::Table(table)) => {
            return Some(with(
                node,
                Value::Table(section(key, schema, table, problems)),
            ));
        }
        (Shape::TextOrTexts | Shape::Texts, Value::List(items)) => {
            let fits = |value: &Value| matches!(value, Value::Text(_));
            return Some(with(node, list(key, items, ("text", &fits), problems)));
        }
        (Shape::Hosts, Value::List(items)) => {
            let fits =
                |value: &Value| matches!(value, Value::Text(_) | Value::Table(_) | Value::List(_));
            return Some(with(
                node,
                list(key, items, ("a URL or a table", &fits), problems),
            ));
        }
        (Shape::Pairs, Value::List(items)) => {
            let fits = |value: &Value| matches!(value, Value::List(_));
            let pair = "a pair such as [\"specific.*\", 1000]";
            return Some(with(node, list(key, items, (pair, &fits), problems)));
        }
        (Shape::Routes(exemplar), Value::List(items)) => {
            return Some(with(node, Value::List(routes(exemplar, items, problems))));
        }
        (Shape::Text, _) => "text",
        (Shape::Integer, _) => "an integer",
        (Shape::Bool, _) => "true or false",
        (Shape::TextOrTexts, _) => "text or a list of texts",
        (Shape::Texts, _) => "a list of texts",
        (Shape::Hosts, _) => "a list of URLs",
        (Shape::Pairs, _) => "a list of pairs",
        (Shape::Routes(_), _) => "a list of tables, written [[routes]]",
        (Shape::Section(_), _) => "a table",
    };
    problems.push(key, node, wrong_type(expected, &node.value));
    None
}

fn with(node: &Node, value: Value) -> Node {
    Node {
        value,
        origin: node.origin.clone(),
    }
}

fn list(
    key: &str,
    items: &[Node],
    (expected, fits): (&str, &dyn Fn(&Value) -> bool),
    problems: &mut Problems,
) -> Value {
    let mut kept = Vec::new();
    for (index, item) in items.iter().enumerate() {
        if fits(&item.value) {
            kept.push(item.clone());
        } else {
            problems.push(
                &format!("{key}[{index}]"),
                item,
                wrong_type(expected, &item.value),
            );
        }
    }
    Value::List(kept)
}

fn routes(exemplar: &Table, items: &[Node], problems: &mut Problems) -> Vec<Node> {
    let mut kept = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let key = format!("routes[{index}]");
        match &item.value {
            Value::Table(table) => {
                kept.push(with(
                    item,
                    Value::Table(route(&key, exemplar, table, problems)),
                ));
            }
            other => problems.push(&key, item, wrong_type("a table", other)),
        }
    }
    kept
}

/// A route has no defaults to fill in here: a key that it leaves out is left out.
fn route(path: &str, exemplar: &Table, table: &Table, problems: &mut Problems) -> Table {
    let mut kept = Table::new();
    for (name, node) in table {
        let key = join(path, name);
        let node = match (exemplar.get(name), name.as_str()) {
            (None, _) => {
                problems.push(&key, node, unknown(path, name, exemplar));
                None
            }
            (Some(entries), "deliver") => deliver(&key, entries, node, problems),
            (
                Some(Node {
                    value: Value::Table(inner),
                    ..
                }),
                _,
            ) => match &node.value {
                Value::Table(table) => Some(with(
                    node,
                    Value::Table(route(&key, inner, table, problems)),
                )),
                other => {
                    problems.push(&key, node, wrong_type("a table", other));
                    None
                }
            },
            (Some(default), _) => value(&key, shape(&key, default), node, problems),
        };
        if let Some(node) = node {
            kept.insert(name.clone(), node);
        }
    }
    kept
}

/// `deliver` has an entry for each event type, whatever its name; each looks like the exemplar's.
fn deliver(key: &str, entries: &Node, node: &Node, problems: &mut Problems) -> Option<Node> {
    let exemplar = entries
        .table()
        .and_then(|table| table.values().next())
        .and_then(Node::table)?;
    let Value::Table(table) = &node.value else {
        problems.push(key, node, wrong_type("a table", &node.value));
        return None;
    };
    let mut kept = Table::new();
    for (kind, entry) in table {
        let key = join(key, kind);
        match &entry.value {
            Value::Table(inner) => {
                let entry = with(entry, Value::Table(route(&key, exemplar, inner, problems)));
                kept.insert(kind.clone(), entry);
            }
            other => problems.push(
                &key,
                entry,
                wrong_type("a table such as { send = \"message\" }", other),
            ),
        }
    }
    Some(with(node, Value::Table(kept)))
}

fn unknown(path: &str, name: &str, schema: &Table) -> String {
    match nearest(name, keys(schema)) {
        Some(meant) => format!("unknown key; did you mean {}?", join(path, meant)),
        None => {
            let known: Vec<&str> = keys(schema).collect();
            format!("unknown key; known here: {}", known.join(", "))
        }
    }
}

fn keys(schema: &Table) -> impl Iterator<Item = &str> {
    schema.keys().map(String::as_str)
}

/// The section's key of that name, when exactly one section has it.
fn place_of(root: &Table, name: &str) -> Option<String> {
    let sections = root
        .iter()
        .filter_map(|(section, node)| Some((section, node.table()?)));
    let mut places = sections.filter(|(_, table)| table.contains_key(name));
    match (places.next(), places.next()) {
        (Some((section, _)), None) => Some(join(section, name)),
        _ => None,
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
