//! What the environment and `--set` say, each assignment a table that covers the ones before.

use super::keys::{self, Kind};
use super::problem::Problems;
use super::tree::{self, Node, Origin, Table, Value};

/// What stands in front of every variable that is meant for Fanfare.
const VARIABLE_PREFIX: &str = "FANFARE__";

/// A table for every `FANFARE__SECTION__KEY`, in the order of the names: a section comes before its
/// keys.
pub(super) fn environment(
    schema: &Table,
    variables: &[(String, String)],
    problems: &mut Problems,
) -> Vec<Table> {
    let mut ours: Vec<_> = variables
        .iter()
        .filter_map(|(name, text)| Some((name, name.strip_prefix(VARIABLE_PREFIX)?, text)))
        .collect();
    ours.sort_unstable();
    ours.into_iter()
        .filter_map(|(name, rest, text)| {
            let key = rest.replace("__", ".").to_ascii_lowercase();
            assignment(schema, &key, text, Origin::new(name))
                .map_err(|refused| refused.note(problems))
                .ok()
        })
        .collect()
}

/// A table for every `--set KEY=VALUE`, in their order.
pub(super) fn flags(schema: &Table, sets: &[String], problems: &mut Problems) -> Vec<Table> {
    sets.iter()
        .filter_map(|set| {
            let (key, text) = set.split_once('=').unwrap_or((set, ""));
            let key = key.trim();
            assignment(schema, key, text, Origin::new(&format!("--set {key}")))
                .map_err(|refused| refused.note(problems))
                .ok()
        })
        .collect()
}

/// An assignment that says nothing.
struct Refused {
    key: String,
    origin: Origin,
    reason: String,
}

impl Refused {
    fn note(self, problems: &mut Problems) {
        problems.push_bare(&self.key, &self.origin, self.reason);
    }
}

fn assignment(schema: &Table, key: &str, text: &str, origin: Origin) -> Result<Table, Refused> {
    if key.split('.').any(str::is_empty) {
        return Err(Refused {
            key: String::new(),
            origin,
            reason: "must start with a key, such as \"http.bind\"".to_owned(),
        });
    }
    if !text.trim_start().starts_with(['[', '{', '"', '\'']) {
        let value = match keys::find(key).map(|key| key.kind) {
            Some(Kind::WordOrWords | Kind::Words) if text.contains(',') => {
                read_words(text, &origin)
            }
            _ => read_text(
                tree::find(schema, key).map(|node| &node.value),
                text,
                &origin,
            ),
        };
        return Ok(nest(key, Node { value, origin }));
    }
    match tree::parse_value(text.trim(), &origin) {
        Ok(node) => Ok(nest(key, node)),
        Err(error) => Err(Refused {
            key: key.to_owned(),
            origin,
            reason: format!(
                "a value that starts with [ {{ \" or ' must be TOML, and this is not: column {}: {}",
                error.column, error.reason
            ),
        }),
    }
}

/// Reads plain text as the type of the key's default. Text that does not fit stays text: the walk
/// against the schema says what is wrong with it.
fn read_text(default: Option<&Value>, text: &str, origin: &Origin) -> Value {
    let as_text = || Value::Text(text.to_owned());
    match default {
        Some(Value::Integer(_)) => match tree::parse_value(text.trim(), origin) {
            Ok(Node {
                value: value @ (Value::Integer(_) | Value::Odd(_)),
                ..
            }) => value,
            _ => as_text(),
        },
        Some(Value::Bool(_)) => text.trim().parse().map_or_else(|_| as_text(), Value::Bool),
        Some(Value::List(_)) if text.is_empty() => Value::List(Vec::new()),
        Some(Value::List(_)) => Value::List(vec![Node {
            value: as_text(),
            origin: origin.clone(),
        }]),
        _ => as_text(),
    }
}

/// Reads `a, b` as a list of two: no entry can have a comma.
fn read_words(text: &str, origin: &Origin) -> Value {
    let word = |text: &str| Node {
        value: Value::Text(text.trim().to_owned()),
        origin: origin.clone(),
    };
    Value::List(text.split(',').map(word).collect())
}

/// `a.b.c` and a node as the table `{ a = { b = { c = node } } }`.
fn nest(key: &str, node: Node) -> Table {
    let (first, node) = match key.split_once('.') {
        None => (key, node),
        Some((first, rest)) => {
            let origin = node.origin.clone();
            (
                first,
                Node {
                    value: Value::Table(nest(rest, node)),
                    origin,
                },
            )
        }
    };
    Table::from([(first.to_owned(), node)])
}
