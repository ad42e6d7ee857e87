//! An event and what nodes tell each other about it.

use bytestring::ByteString;

use crate::close::{Close, CloseCode, CloseError};
use crate::event::Event;
use crate::name::ChannelName;

/// The name of the metadata map, which is stripped before delivery. No dictionary that an application
/// makes from JSON can spell the key: in msgpack it is a text whose length is written in one byte more
/// than `packb` takes, or a key of bytes; in JSON the map is the first entry of a message with a space
/// in front, which `json.dumps` never writes. Any other key of this name is a field like the rest.
pub(crate) const META_KEY: &str = "__fanfare__";
/// The metadata's list of channels to leave out.
pub(crate) const EXCLUDE_KEY: &str = "exclude";
/// The metadata's order to close, a list of code and reason.
pub(crate) const CLOSE_KEY: &str = "close";
/// The type of an event that only carries an order to close.
const CLOSE_KIND: &str = "fanfare.close";

/// An event with its metadata. On the wire the metadata is one map beside the event's fields, under a
/// key that no application's JSON can spell. It is written only when there is some, so that a plain
/// event is byte for byte what `channels_redis` writes.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// The event of the application.
    pub event: Event,
    /// Channels that must not get the event.
    pub exclude: Vec<ChannelName>,
    /// Set for a disconnect. The sessions that get it are closed with this code and reason, and
    /// their consumers do not see the event.
    pub close: Option<Close>,
}

impl Envelope {
    /// An envelope without metadata.
    pub fn new(event: Event) -> Self {
        Self::excluding(event, Vec::new())
    }

    /// An envelope with an event that these channels must not get.
    pub fn excluding(event: Event, exclude: Vec<ChannelName>) -> Self {
        Self {
            event,
            exclude,
            close: None,
        }
    }

    /// A disconnect: the sessions that get it are closed with this code and reason. Its event has
    /// the type `fanfare.close` and no other field.
    ///
    /// # Errors
    /// Those of [`Close::new`].
    pub fn closing(code: CloseCode, reason: impl Into<ByteString>) -> Result<Self, CloseError> {
        let close = Close::new(code, reason)?;
        Ok(Self {
            close: Some(close),
            ..Self::new(Event::new(ByteString::from_static(CLOSE_KIND)))
        })
    }

    /// Whether there is anything that nodes tell each other about the event.
    pub(crate) fn has_metadata(&self) -> bool {
        !self.exclude.is_empty() || self.close.is_some()
    }
}

impl From<Event> for Envelope {
    fn from(event: Event) -> Self {
        Self::new(event)
    }
}
