//! Values into any serde format, in their JSON notation.

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{Serialize, Serializer};

use crate::event::{BINARY, Event, Value};

/// Bytes become base64 in a format that is read by people; a JSON serializer makes null of NaN and infinities.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nil => serializer.serialize_unit(),
            Self::Bool(flag) => serializer.serialize_bool(*flag),
            Self::Int(number) => serializer.serialize_i64(*number),
            Self::UInt(number) => serializer.serialize_u64(*number),
            Self::Float(number) => serializer.serialize_f64(*number),
            Self::Str(text) => serializer.serialize_str(text),
            Self::Bin(bytes) => serializer.serialize_newtype_struct(BINARY, &Binary(bytes)),
            Self::List(items) => serializer.collect_seq(items),
            Self::Map(entries) => {
                serializer.collect_map(entries.iter().map(|(key, value)| (&**key, value)))
            }
        }
    }
}

/// Bytes for where there are bytes, base64 where there is only text.
struct Binary<'a>(&'a [u8]);

impl Serialize for Binary<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(&Base64Display::new(self.0, &STANDARD))
        } else {
            serializer.serialize_bytes(self.0)
        }
    }
}

/// All fields, `type` among them.
impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.fields().iter().map(|(key, value)| (&**key, value)))
    }
}
