//! Events from request bodies.

use fanfare_protocol::Event;
use fanfare_protocol::event_rules::{self, EventRefused};
use fanfare_protocol::json::{self, ParseError};

use super::error::{ApiError, Code};

/// Reads an event from JSON text and checks it by the rules for events from outside.
pub(crate) fn parse(text: &[u8]) -> Result<Event, ApiError> {
    let event = json::parse_event(text)?;
    event_rules::check(&event)?;
    Ok(event)
}

impl From<ParseError> for ApiError {
    fn from(error: ParseError) -> Self {
        let message = error.to_string();
        match error {
            ParseError::Syntax { line, column, .. } => {
                Self::new(Code::InvalidJson, message).at_position(line, column)
            }
            ParseError::NotAnObject { .. } => Self::new(Code::InvalidEvent, message),
            ParseError::Event(_) => Self::new(Code::InvalidEvent, message).at("type"),
        }
    }
}

impl From<EventRefused> for ApiError {
    fn from(error: EventRefused) -> Self {
        let message = error.to_string();
        let field = match error {
            EventRefused::Type(_) => "type".to_owned(),
            EventRefused::ReservedKey(key) => key,
        };
        Self::new(Code::InvalidEvent, message).at(field)
    }
}
