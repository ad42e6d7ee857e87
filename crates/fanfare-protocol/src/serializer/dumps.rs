//! JSON as Python's `json.dumps` writes it: `", "` and `": "` between, everything beyond printable
//! ASCII escaped, floats as `float.__repr__` spells them.

use std::fmt::Write as _;

use crate::envelope::{CLOSE_KEY, EXCLUDE_KEY, Envelope, META_KEY};
use crate::event::Value;

/// Why a value has no notation.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unwritable {
    Bytes,
    NotFinite(&'static str),
}

type Written = Result<(), Unwritable>;

pub(super) fn write_value(out: &mut String, value: &Value) -> Written {
    match value {
        Value::Nil => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Int(number) => put(out, number),
        Value::UInt(number) => put(out, number),
        Value::Float(number) => write_float(out, *number)?,
        Value::Str(text) => write_text(out, text),
        Value::Bin(_) => return Err(Unwritable::Bytes),
        Value::List(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                separate(out, at);
                write_value(out, item)?;
            }
            out.push(']');
        }
        Value::Map(entries) => {
            out.push('{');
            for (at, (key, value)) in entries.iter().enumerate() {
                separate(out, at);
                write_key(out, key);
                write_value(out, value)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

/// The comma in front of all but the first.
pub(super) fn separate(out: &mut String, at: usize) {
    if at > 0 {
        out.push_str(", ");
    }
}

pub(super) fn write_key(out: &mut String, key: &str) {
    write_text(out, key);
    out.push_str(": ");
}

/// The metadata with its key, when there is some.
pub(super) fn write_metadata(out: &mut String, envelope: &Envelope) {
    if !envelope.has_metadata() {
        return;
    }
    write_key(out, META_KEY);
    out.push('{');
    if !envelope.exclude.is_empty() {
        write_key(out, EXCLUDE_KEY);
        let names = envelope.exclude.iter().map(|channel| channel.as_str());
        write_texts(out, names);
    }
    if let Some(close) = &envelope.close {
        separate(out, usize::from(!envelope.exclude.is_empty()));
        write_key(out, CLOSE_KEY);
        out.push('[');
        put(out, close.code.0);
        out.push_str(", ");
        write_text(out, &close.reason);
        out.push(']');
    }
    out.push('}');
}

pub(super) fn write_texts<'a>(out: &mut String, texts: impl Iterator<Item = &'a str>) {
    out.push('[');
    for (at, text) in texts.enumerate() {
        separate(out, at);
        write_text(out, text);
    }
    out.push(']');
}

pub(super) fn write_text(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(|char| !matches!(char, ' '..='~') || matches!(char, '"' | '\\'))
    {
        let (plain, special) = rest.split_at(at);
        out.push_str(plain);
        let mut chars = special.chars();
        if let Some(char) = chars.next() {
            escape(out, char);
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

fn escape(out: &mut String, char: char) {
    match char {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        other => {
            for unit in other.encode_utf16(&mut [0; 2]) {
                put(out, format_args!("\\u{unit:04x}"));
            }
        }
    }
}

/// The shortest digits that are read as the same float, with an exponent of at least two digits
/// below 0.0001 and from 1e16 on.
fn write_float(out: &mut String, number: f64) -> Written {
    if number.is_nan() {
        return Err(Unwritable::NotFinite("NaN"));
    }
    if number.is_infinite() {
        let positive = number.is_sign_positive();
        let name = if positive { "Infinity" } else { "-Infinity" };
        return Err(Unwritable::NotFinite(name));
    }
    let is_positional = number == 0.0 || (1e-4..1e16).contains(&number.abs());
    let text = shortest(number, is_positional);
    match text.split_once('e') {
        Some((mantissa, exponent)) => {
            let (sign, digits) = match exponent.strip_prefix('-') {
                Some(digits) => ('-', digits),
                None => ('+', exponent),
            };
            put(out, format_args!("{mantissa}e{sign}{digits:0>2}"));
        }
        None if text.contains('.') => out.push_str(&text),
        None => put(out, format_args!("{text}.0")),
    }
    Ok(())
}

/// Rust and Python choose the same digits but where two choices are equally near: there Python's
/// last digit is even, as it is when Rust is told how many digits to write.
fn shortest(number: f64, is_positional: bool) -> String {
    let text = if is_positional {
        format!("{number}")
    } else {
        format!("{number:e}")
    };
    let mantissa = text.split('e').next().unwrap_or_default();
    let decimals = mantissa.split_once('.').map_or(0, |(_, it)| it.len());
    let even = if is_positional {
        format!("{number:.decimals$}")
    } else {
        format!("{number:.decimals$e}")
    };
    if even.parse() == Ok(number) {
        even
    } else {
        text
    }
}

fn put(out: &mut String, what: impl std::fmt::Display) {
    // Memory takes everything.
    let _infallible = write!(out, "{what}");
}
