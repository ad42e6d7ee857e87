//! What keeps a value of the application and an event apart.

use std::fmt::Display;

use serde::de::{self, Expected, Unexpected};
use serde::ser;

/// Why a value of the application cannot become an event, or an event cannot become such a value,
/// and where.
///
/// It names fields, variants and kinds of values, but never the values, because they may be
/// private. Messages of the application's own `Serialize` or `Deserialize` are kept unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", before(.path))]
pub struct TypedError {
    path: String,
    message: String,
    /// An enum got the name of a variant that it does not have.
    variant: bool,
}

impl TypedError {
    pub(crate) fn new(message: impl Display) -> Self {
        Self {
            path: String::new(),
            message: message.to_string(),
            variant: false,
        }
    }

    /// The path of the value, such as `users[2].name`. It is empty if it is not known, as for
    /// values inside of a tagged enum.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is wrong there.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether the `type` of an event is not a variant of the enum that it should become. It is
    /// false for an enum that is flattened into another type.
    pub fn is_unknown_type(&self) -> bool {
        self.variant && self.path == "type"
    }

    /// The error of a map, from that of the value under this key.
    pub(crate) fn under(mut self, key: &str) -> Self {
        let dot = match self.path.chars().next() {
            None | Some('[') => "",
            Some(_) => ".",
        };
        self.path = format!("{key}{dot}{}", self.path);
        self
    }

    /// The error of a list, from that of the item with this index.
    pub(crate) fn item(self, index: usize) -> Self {
        self.under(&format!("[{index}]"))
    }
}

impl ser::Error for TypedError {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(message)
    }
}

impl de::Error for TypedError {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(message)
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = kind(found);
        Self::new(format_args!("invalid type: {found}, expected {expected}"))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = kind(found);
        Self::new(format_args!("invalid value: {found}, expected {expected}"))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let known = expected.join("`, `");
        Self {
            variant: true,
            ..Self::new(format_args!(
                "unknown variant `{variant}`, known: `{known}`"
            ))
        }
    }
}

fn before(path: &str) -> String {
    if path.is_empty() {
        String::new()
    } else {
        format!("{path}: ")
    }
}

/// What was found, without its value.
fn kind(found: Unexpected<'_>) -> &str {
    match found {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "an integer",
        Unexpected::Float(_) => "a float",
        Unexpected::Char(_) | Unexpected::Str(_) => "a string",
        Unexpected::Bytes(_) => "bytes",
        Unexpected::Unit => "nil",
        Unexpected::Option => "an option",
        Unexpected::NewtypeStruct => "a newtype struct",
        Unexpected::Seq => "a list",
        Unexpected::Map => "a map",
        Unexpected::Enum => "an enum",
        Unexpected::UnitVariant => "a variant without fields",
        Unexpected::NewtypeVariant => "a variant of one value",
        Unexpected::TupleVariant => "a variant of several values",
        Unexpected::StructVariant => "a variant with fields",
        Unexpected::Other(what) => what,
    }
}
