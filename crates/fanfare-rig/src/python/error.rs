//! What Python raises.

use std::fmt;

use serde_json::Value;

/// An exception.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PythonError {
    /// The name of its class, such as `ChannelFull`.
    pub kind: String,
    /// Its text, often empty.
    pub text: String,
}

impl PythonError {
    /// Of `{"type": .., "text": ..}`.
    pub(super) fn of(error: &Value) -> Self {
        let field = |name: &str| error.get(name).and_then(Value::as_str);
        Self {
            kind: field("type").unwrap_or_default().to_owned(),
            text: field("text").unwrap_or_default().to_owned(),
        }
    }
}

impl fmt::Display for PythonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Python raised {}: {}", self.kind, self.text)
    }
}

impl std::error::Error for PythonError {}
