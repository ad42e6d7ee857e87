//! Why events cannot be written or read.

use crate::event::EventError;

/// Why bytes are no envelope. Offsets are in the notation: behind a random prefix, inside a token.
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
    /// Not the JSON that a layer reads, or cut short, at this byte.
    #[error("no JSON at byte {at}: {reason}")]
    Json {
        /// Offset from the start of the message.
        at: usize,
        /// What is wrong there.
        reason: &'static str,
    },
    /// A value that is no map.
    #[error("the message is no map but {found}")]
    NotAMap {
        /// What it is, with its article.
        found: &'static str,
    },
    /// A map that is no event.
    #[error(transparent)]
    Event(#[from] EventError),
    /// `__asgi_channel__` names nobody that could be understood.
    #[error(
        "the message's \"__asgi_channel__\" must be a string or a list of strings, not {found}"
    )]
    Recipients {
        /// What it is, with its article.
        found: &'static str,
    },
    /// There is not even the random prefix.
    #[error("the message has {bytes} bytes, its random prefix alone has {prefix}")]
    TooShort {
        /// How many bytes it has.
        bytes: usize,
        /// How many bytes stand in front of every message.
        prefix: usize,
    },
    /// No token, damaged, or encrypted with a key that is not configured here.
    #[error("none of the keys decrypts the message")]
    Undecryptable,
    /// Decrypted, and too old.
    #[error("the message was encrypted {age} s ago, the most is {most} s")]
    Expired {
        /// Its age in seconds, by this machine's clock.
        age: u64,
        /// The age up to which messages are taken, in seconds.
        most: u64,
    },
    /// Decrypted, and from the future: clocks differ.
    #[error("the message was encrypted {ahead} s ahead of this clock, the most is 60 s")]
    Ahead {
        /// How far ahead it is, in seconds.
        ahead: u64,
    },
}

/// Why an event has no notation in Redis.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SerializeError {
    /// The JSON notation has no bytes.
    #[error(
        "the event's field {field:?} holds bytes, which the JSON serializer has no notation for"
    )]
    Bytes {
        /// The top-level field.
        field: String,
    },
    /// The JSON notation has no NaN and no infinities.
    #[error(
        "the event's field {field:?} holds {number}, which the JSON serializer has no notation for"
    )]
    NotFinite {
        /// The top-level field.
        field: String,
        /// `NaN`, `Infinity` or `-Infinity`.
        number: &'static str,
    },
    /// The system has no random source, which prefixes and tokens are made of.
    #[error("the system has no random source")]
    Random,
}
