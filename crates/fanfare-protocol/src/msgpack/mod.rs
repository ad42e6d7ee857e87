//! Events as msgpack, byte for byte what `channels_redis` writes and reads.

mod decode;
mod encode;
mod meta;

pub(crate) use decode::decode;
pub(crate) use encode::encode;

use crate::event::EventError;

/// Why bytes are no envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not msgpack, or cut short, at this byte.
    #[error("no msgpack at byte {at}: {reason}")]
    Malformed {
        /// Offset from the start of the message.
        at: usize,
        /// What is wrong there.
        reason: &'static str,
    },
    /// A msgpack value that is no map.
    #[error("the message is no map but {found}")]
    NotAMap {
        /// What it is, with its article.
        found: &'static str,
    },
    /// A map that is no event.
    #[error(transparent)]
    Event(#[from] EventError),
}
