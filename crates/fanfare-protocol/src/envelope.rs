//! An event and what nodes tell each other about it.

use bytes::Bytes;

use crate::event::Event;
use crate::msgpack::{self, DecodeError};
use crate::name::ChannelName;

/// The reserved key of the metadata map; stripped before delivery.
pub const META_KEY: &str = "__fanfare__";
/// The metadata's list of channels to leave out.
pub(crate) const EXCLUDE_KEY: &str = "exclude";

/// An event with its metadata. On the wire the metadata is one map under [`META_KEY`] of the
/// event, written only when there is some, so that a plain event is byte for byte what
/// `channels_redis` writes.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// What applications sent.
    pub event: Event,
    /// Channels that must not get it.
    pub exclude: Vec<ChannelName>,
}

impl Envelope {
    /// An envelope without metadata.
    pub fn new(event: Event) -> Self {
        Self {
            event,
            exclude: Vec::new(),
        }
    }

    /// The envelope as msgpack.
    pub fn to_msgpack(&self) -> Bytes {
        msgpack::encode(self)
    }

    /// Reads an envelope; strings and bytes point into `wire`.
    ///
    /// # Errors
    /// [`DecodeError`] when `wire` is not exactly one msgpack map with a string `type`.
    pub fn from_msgpack(wire: &Bytes) -> Result<Self, DecodeError> {
        msgpack::decode(wire)
    }
}

impl From<Event> for Envelope {
    fn from(event: Event) -> Self {
        Self::new(event)
    }
}
