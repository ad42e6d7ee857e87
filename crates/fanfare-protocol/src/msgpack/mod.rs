//! Events as msgpack, byte for byte what `channels_redis` writes and reads.

mod decode;
pub(crate) mod encode;

pub(crate) use decode::decode_into;

use bytes::Bytes;

use crate::envelope::Envelope;
pub use crate::error::DecodeError;

/// The metadata's key as nodes write it: a text of eleven bytes as `str 8`, where `packb` writes
/// `fixstr`. Python reads it as an ordinary text key, so that consumers can still dump the event.
const META_KEY_OF_NODES: [u8; 13] = *b"\xd9\x0b__fanfare__";
/// The metadata's key as Python code writes it on purpose: bytes, which no parsed JSON contains.
const META_KEY_OF_PYTHON: [u8; 13] = *b"\xc4\x0b__fanfare__";

impl Envelope {
    /// The envelope as msgpack.
    pub fn to_msgpack(&self) -> Bytes {
        encode::encode(self)
    }

    /// Reads an envelope; strings and bytes point into `wire`.
    ///
    /// # Errors
    /// [`DecodeError`] when `wire` is not exactly one msgpack map with a string `type`.
    pub fn from_msgpack(wire: &Bytes) -> Result<Self, DecodeError> {
        decode::decode(wire)
    }
}
