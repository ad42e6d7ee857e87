//! Values in the notation of `tests/python/notation.py`: JSON that loses nothing.

use fanfare::{Event, Value};
use serde_json::{Value as Json, json};

/// The notation of an event.
pub(crate) fn noted_event(event: &Event) -> Json {
    let fields = event.fields().iter();
    map(fields.map(|(key, value)| (json!(&**key), noted(value))))
}

/// The notation of a value.
pub(crate) fn noted(value: &Value) -> Json {
    match value {
        Value::Nil => Json::Null,
        Value::Bool(flag) => json!(flag),
        Value::Int(number) => json!(number),
        Value::UInt(number) => json!(number),
        Value::Float(number) => float(*number),
        Value::Str(text) => json!(&**text),
        Value::Bin(bytes) => bytes_of(bytes),
        Value::List(items) => items.iter().map(noted).collect(),
        Value::Map(entries) => map(entries
            .iter()
            .map(|(key, value)| (json!(&**key), noted(value)))),
    }
}

/// A float with all its bits.
pub(crate) fn float(number: f64) -> Json {
    json!({ "float": format!("{:016x}", number.to_bits()) })
}

/// Bytes as hexadecimal digits.
pub(crate) fn bytes_of(bytes: &[u8]) -> Json {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({ "bytes": digits })
}

/// A map in its order.
pub(crate) fn map(entries: impl IntoIterator<Item = (Json, Json)>) -> Json {
    let entries = entries.into_iter().map(|(key, value)| json!([key, value]));
    json!({ "map": entries.collect::<Json>() })
}
