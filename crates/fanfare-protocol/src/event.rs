//! Events: ordered maps with a `type`, the unit that a layer carries.

use bytes::Bytes;
use bytestring::ByteString;

use crate::typed_error::TypedError;

/// How deep lists and maps may be nested, including the event itself. Both serializers have this
/// limit, so an event that one of them has read can be written and read by the other.
pub const MAX_DEPTH: usize = 64;

/// The name under which [`Value::Bin`] is serialized, so that it stays [`Value::Bin`] in a typed value.
pub(crate) const BINARY: &str = "$fanfare::binary";

/// A value inside an event: the values of JSON, and bytes.
///
/// Strings and bytes are reference-counted slices. An event that was decoded from the layer points
/// into the buffer of its message.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `None` of Python, `null` of JSON.
    Nil,
    /// A boolean.
    Bool(bool),
    /// A signed integer of 64 bits.
    Int(i64),
    /// An integer above `i64::MAX`: accepted, never produced.
    UInt(u64),
    /// A float; NaN and infinities are legal in an event and become `null` in JSON text.
    Float(f64),
    /// Text.
    Str(ByteString),
    /// Bytes; base64 (standard alphabet, padded) in JSON text.
    Bin(Bytes),
    /// A list.
    List(Vec<Value>),
    /// A map in its order. Keys that were no strings on the wire carry their JSON spelling.
    Map(Vec<(ByteString, Value)>),
}

/// An event: a map with a key `type` whose value is a string. Layers carry events.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    fields: Vec<(ByteString, Value)>,
    /// Index of `type` in `fields`, found once.
    kind: usize,
}

/// Why a value is not an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// There is no key `type`.
    #[error("the event has no key \"type\"")]
    NoType,
    /// The value of `type` is not a string.
    #[error("the event's \"type\" is no string")]
    TypeNotString,
    /// The value is not a map: see [`Event::of`].
    #[error("the event is no map but {found}")]
    NotAMap {
        /// What it is, with its article.
        found: &'static str,
    },
    /// An event cannot contain one of its values: see [`Event::of`].
    #[error(transparent)]
    Value(#[from] TypedError),
}

impl Event {
    /// An event of a type with no other field.
    pub fn new(kind: impl Into<ByteString>) -> Self {
        let fields = vec![(ByteString::from_static("type"), Value::Str(kind.into()))];
        Self { fields, kind: 0 }
    }

    /// An event from the fields of a map, in their order. If a key is there twice, the first one is
    /// used.
    ///
    /// # Errors
    /// [`EventError`] if `type` is missing or not a string.
    pub fn from_fields(fields: Vec<(ByteString, Value)>) -> Result<Self, EventError> {
        let kind = fields
            .iter()
            .position(|(key, _)| key == "type")
            .ok_or(EventError::NoType)?;
        match fields.get(kind) {
            Some((_, Value::Str(_))) => Ok(Self { fields, kind }),
            _ => Err(EventError::TypeNotString),
        }
    }

    /// Sets a field: `Event::new("chat.message").with("message", "hi")`. A `type` that is not a
    /// string is ignored.
    #[must_use]
    pub fn with(mut self, key: impl Into<ByteString>, value: impl Into<Value>) -> Self {
        let (key, value) = (key.into(), value.into());
        match self.fields.iter_mut().find(|(name, _)| *name == key) {
            Some((_, known)) => {
                if key != "type" || matches!(value, Value::Str(_)) {
                    *known = value;
                }
            }
            None => self.fields.push((key, value)),
        }
        self
    }

    /// The event's type.
    pub fn event_type(&self) -> &str {
        match self.fields.get(self.kind) {
            Some((_, Value::Str(kind))) => kind,
            _ => "",
        }
    }

    /// The value of a top-level key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.fields
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }

    /// All fields in their order, including `type`.
    pub fn fields(&self) -> &[(ByteString, Value)] {
        &self.fields
    }

    /// The approximate memory of the event, in bytes. The bounds of queues use it.
    pub fn memory_bytes(&self) -> usize {
        let fields = self.fields.iter();
        fields
            .map(|(key, value)| key.len() + value.memory_bytes())
            .sum()
    }
}

/// What a value costs in memory beside its text and bytes.
const VALUE_BYTES: usize = 64;

impl Value {
    fn memory_bytes(&self) -> usize {
        let content = match self {
            Self::Str(text) => text.len(),
            Self::Bin(bytes) => bytes.len(),
            Self::List(list) => list.iter().map(Self::memory_bytes).sum(),
            Self::Map(map) => {
                let entries = map.iter();
                entries
                    .map(|(key, value)| key.len() + value.memory_bytes())
                    .sum()
            }
            Self::Nil | Self::Bool(_) | Self::Int(_) | Self::UInt(_) | Self::Float(_) => 0,
        };
        VALUE_BYTES + content
    }
}

impl Value {
    /// What it is, with its article.
    pub(crate) fn described(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::UInt(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Str(_) => "a string",
            Self::Bin(_) => "bytes",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(ByteString::from(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(ByteString::from(text))
    }
}

impl From<ByteString> for Value {
    fn from(text: ByteString) -> Self {
        Self::Str(text)
    }
}

impl From<Bytes> for Value {
    fn from(bytes: Bytes) -> Self {
        Self::Bin(bytes)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        i64::try_from(number).map_or(Self::UInt(number), Self::Int)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl From<Vec<Value>> for Value {
    fn from(list: Vec<Value>) -> Self {
        Self::List(list)
    }
}
