//! Values that remember where they came from.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

/// Keys to values, in the order of their names.
pub(super) type Table = BTreeMap<String, Node>;

/// Where a value was written, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin(Arc<str>);

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// What TOML can say, as far as a key could take it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Bool(bool),
    List(Vec<Node>),
    Table(Table),
    /// A literal that no key takes: a float, a date, an integer past 64 bits.
    Odd(String),
}

/// Text that is no TOML; positions count from 1.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) reason: String,
}

/// Reads a TOML document; `origin` names the place of a line.
///
/// # Errors
/// Every [`SyntaxError`] of the text.
pub(super) fn parse_document(
    text: &str,
    origin: &dyn Fn(usize) -> Origin,
) -> Result<Table, Vec<SyntaxError>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(errors
            .iter()
            .map(|error| SyntaxError::new(text, error))
            .collect());
    }
    Ok(read_table(text, table.get_ref(), origin))
}

/// Reads one TOML value.
///
/// # Errors
/// The first [`SyntaxError`].
pub(super) fn parse_value(text: &str, origin: &Origin) -> Result<Node, SyntaxError> {
    let value = DeValue::parse(text).map_err(|error| SyntaxError::new(text, &error))?;
    Ok(Node {
        value: read_value(text, value.get_ref(), &|_| origin.clone()),
        origin: origin.clone(),
    })
}

impl SyntaxError {
    fn new(text: &str, error: &toml::de::Error) -> Self {
        let at = error.span().map_or(0, |span| span.start);
        let before = text.get(..at).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before
            .get(line_start..)
            .map_or(0, |line| line.chars().count())
            + 1;
        Self {
            line: line_of(text, at),
            column,
            reason: error.message().replace('\n', " "),
        }
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.get(..at).unwrap_or(text).matches('\n').count() + 1
}

fn read_table(text: &str, table: &DeTable<'_>, origin: &dyn Fn(usize) -> Origin) -> Table {
    let read = |(key, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
        // A key's own line is where a reader looks; a table's value may begin further down.
        let origin_of_key = origin(line_of(text, key.span().start));
        let node = Node {
            value: read_value(text, value.get_ref(), origin),
            origin: origin_of_key,
        };
        (std::borrow::Cow::<str>::to_string(key.get_ref()), node)
    };
    table.iter().map(read).collect()
}

fn read_value(text: &str, value: &DeValue<'_>, origin: &dyn Fn(usize) -> Origin) -> Value {
    match value {
        DeValue::String(value) => Value::Text(value.to_string()),
        DeValue::Integer(value) => match i128::from_str_radix(value.as_str(), value.radix()) {
            Ok(number) => i64::try_from(number)
                .map_or_else(|_| Value::Odd(number.to_string()), Value::Integer),
            Err(_) => Value::Odd(value.to_string()),
        },
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Float(value) => Value::Odd(value.to_string()),
        DeValue::Datetime(value) => Value::Odd(value.to_string()),
        DeValue::Array(items) => Value::List(
            items
                .iter()
                .map(|item| Node {
                    value: read_value(text, item.get_ref(), origin),
                    origin: origin(line_of(text, item.span().start)),
                })
                .collect(),
        ),
        DeValue::Table(table) => Value::Table(read_table(text, table, origin)),
    }
}

/// The node at a dotted path.
pub(super) fn find<'a>(table: &'a Table, path: &str) -> Option<&'a Node> {
    match path.split_once('.') {
        None => table.get(path),
        Some((first, rest)) => match &table.get(first)?.value {
            Value::Table(inner) => find(inner, rest),
            _ => None,
        },
    }
}

impl Node {
    /// The text, when it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The items of a list.
    pub(super) fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The entries of a table.
    pub(super) fn table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }
}

impl Value {
    /// What kind of value it is, for people.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Integer(_) => "an integer",
            Self::Bool(_) => "true or false",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Odd(_) => "a date, or a number that is not an integer of 64 bits",
        }
    }
}

impl fmt::Display for Value {
    /// In TOML's own notation, on one line.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => out.write_str(&quote(text)),
            Self::Integer(number) => write!(out, "{number}"),
            Self::Bool(flag) => write!(out, "{flag}"),
            Self::Odd(literal) => out.write_str(literal),
            Self::List(items) => {
                out.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(out, "{comma}{}", item.value)?;
                }
                out.write_str("]")
            }
            Self::Table(table) => {
                out.write_str("{")?;
                for (index, (key, node)) in table.iter().enumerate() {
                    let comma = if index == 0 { " " } else { ", " };
                    write!(out, "{comma}{} = {}", quote_key(key), node.value)?;
                }
                out.write_str(" }")
            }
        }
    }
}

/// The table as the `toml` crate has it, for writing.
pub(super) fn to_toml(table: &Table) -> toml::Table {
    table
        .iter()
        .map(|(key, node)| (key.clone(), value_to_toml(&node.value)))
        .collect()
}

pub(super) fn value_to_toml(value: &Value) -> toml::Value {
    match value {
        Value::Text(text) | Value::Odd(text) => toml::Value::String(text.clone()),
        Value::Integer(number) => toml::Value::Integer(*number),
        Value::Bool(flag) => toml::Value::Boolean(*flag),
        Value::List(items) => toml::Value::Array(
            items
                .iter()
                .map(|item| value_to_toml(&item.value))
                .collect(),
        ),
        Value::Table(table) => toml::Value::Table(to_toml(table)),
    }
}

/// A text as a basic string of TOML, on one line whatever it has. JSON escapes in the same way.
fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A key as TOML writes it: bare where it may be.
pub(super) fn quote_key(key: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !key.is_empty() && key.bytes().all(bare) {
        key.to_owned()
    } else {
        quote(key)
    }
}

impl Origin {
    /// The embedded file.
    pub(super) const DEFAULT: &str = "the default";

    /// The place that these words name.
    pub(super) fn new(words: &str) -> Self {
        Self(Arc::from(words))
    }

    /// Whether nobody covered the shipped value.
    pub(super) fn is_default(&self) -> bool {
        self.as_str() == Self::DEFAULT
    }

    /// The words.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}
