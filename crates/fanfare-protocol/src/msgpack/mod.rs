//! Events as msgpack, byte for byte what `channels_redis` writes and reads.

mod decode;
pub(crate) mod encode;

pub(crate) use decode::decode_into;

use bytes::Bytes;

use crate::envelope::Envelope;
pub use crate::error::DecodeError;

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
