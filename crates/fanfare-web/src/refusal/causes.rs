//! How errors of the node, the layer and the protocol refuse a request.

use fanfare_layer::{ControlError, PublishError};
use fanfare_node::{AdmitError, FindError};
use fanfare_protocol::SerializeError;
use fanfare_protocol::event_rules::EventRefused;
use fanfare_protocol::json::ParseError;

use super::{Code, Refusal};

impl From<AdmitError> for Refusal {
    fn from(error: AdmitError) -> Self {
        let code = match error {
            AdmitError::NodeFull { .. } | AdmitError::TooManyWorkers => Code::NodeFull,
            AdmitError::NoMemory => Code::NoRoom,
            AdmitError::TooManySessions { .. } => Code::TooManySessions,
            AdmitError::Draining => Code::Draining,
            AdmitError::TooManyGroups { .. } => Code::TooManyGroups,
            AdmitError::LayerDown => Code::LayerDown,
            AdmitError::LayerTimeout => Code::LayerTimeout,
        };
        Self::new(code, error.to_string())
    }
}

impl From<FindError> for Refusal {
    fn from(error: FindError) -> Self {
        let code = match &error {
            FindError::Control(ControlError::Down(_)) => Code::LayerDown,
            FindError::Control(ControlError::Busy) | FindError::Silent(_) => Code::Unavailable,
            FindError::Control(ControlError::TooLong { .. }) => Code::InvalidChannel,
        };
        Self::new(code, error.to_string())
    }
}

impl From<PublishError> for Refusal {
    fn from(error: PublishError) -> Self {
        let code = match &error {
            PublishError::Down(_) => Code::LayerDown,
            PublishError::Unanswered(_) => Code::LayerUnanswered,
            PublishError::NoRoom | PublishError::NoMemory => Code::NoRoom,
            PublishError::Closed => Code::Draining,
            PublishError::ChannelFull { .. } => Code::ChannelFull,
            PublishError::Unserializable(reason) => match reason {
                SerializeError::Bytes { field } | SerializeError::NotFinite { field, .. } => {
                    return Self::new(Code::InvalidEvent, error.to_string()).at(field);
                }
                SerializeError::Random => Code::Internal,
            },
        };
        Self::new(code, error.to_string())
    }
}

impl From<ParseError> for Refusal {
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

impl From<EventRefused> for Refusal {
    fn from(error: EventRefused) -> Self {
        let message = error.to_string();
        let field = match error {
            EventRefused::Type(_) => "type".to_owned(),
            EventRefused::ReservedKey(key) => key,
        };
        Self::new(Code::InvalidEvent, message).at(field)
    }
}
