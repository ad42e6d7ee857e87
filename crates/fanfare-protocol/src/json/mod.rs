//! Events as JSON text.

mod parse;
mod write;

use bytes::{BufMut as _, BytesMut};
use bytestring::ByteString;
use serde_json::Serializer;

use crate::event::{Event, EventError, Value};

/// Why text is no event.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// Not JSON; the position is 1-based, as serde_json counts.
    #[error("{message}")]
    Syntax {
        /// What is wrong, without the position.
        message: String,
        /// The line, from 1.
        line: usize,
        /// The column in bytes, from 1; 0 when the line has just begun.
        column: usize,
    },
    /// JSON, but no object.
    #[error("the event must be a JSON object, not {found}")]
    NotAnObject {
        /// What it is, with its article.
        found: &'static str,
    },
    /// An object that is no event.
    #[error(transparent)]
    Event(#[from] EventError),
}

/// Parses an event from JSON text; key order is kept, the last of duplicate keys wins.
///
/// # Errors
/// [`ParseError`], with line and column where the text is no JSON.
pub fn parse_event(text: &[u8]) -> Result<Event, ParseError> {
    let found = match parse_value(text)? {
        Value::Map(fields) => return Ok(Event::from_fields(fields)?),
        Value::List(_) => "an array",
        Value::Str(_) | Value::Bin(_) => "a string",
        Value::Int(_) | Value::UInt(_) | Value::Float(_) => "a number",
        Value::Bool(_) => "a boolean",
        Value::Nil => "null",
    };
    Err(ParseError::NotAnObject { found })
}

/// Parses any JSON value.
///
/// # Errors
/// [`ParseError::Syntax`].
pub fn parse_value(text: &[u8]) -> Result<Value, ParseError> {
    serde_json::from_slice(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let mut message = error.to_string();
        let position = format!(" at line {line} column {column}");
        message.truncate(
            message
                .strip_suffix(&position)
                .map_or(message.len(), str::len),
        );
        ParseError::Syntax {
            message,
            line,
            column,
        }
    })
}

/// Appends the event, with its `type`, as compact JSON: keys in order, UTF-8 unescaped, bytes as
/// base64, NaN and infinities as null.
pub fn write_event(event: &Event, out: &mut BytesMut) {
    write_json(event, out);
}

/// Appends any value in the same notation.
pub fn write_value(value: &Value, out: &mut BytesMut) {
    write_json(value, out);
}

/// A scalar as the key that it becomes in an object.
pub(crate) fn spelling(scalar: &Value) -> ByteString {
    let mut out = BytesMut::new();
    write_value(scalar, &mut out);
    ByteString::try_from(out).unwrap_or_default()
}

fn write_json(value: &impl serde::Serialize, out: &mut BytesMut) {
    let start = out.len();
    let written = value.serialize(&mut Serializer::new(out.writer()));
    // Memory takes everything and every value has a notation; nothing half written may remain.
    if written.is_err() {
        out.truncate(start);
    }
}
