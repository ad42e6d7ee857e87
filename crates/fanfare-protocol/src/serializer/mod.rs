//! Events as bytes in Redis: a notation, keys, and what the core format adds. Byte for byte what
//! the `MessageSerializer`s of channels_redis 4.3 write and read.
//!
//! A message is the event's fields in their order, then `__asgi_channel__`, in one of the two
//! [notations](Notation). What nodes tell each other is one more entry: in msgpack the last before
//! `__asgi_channel__`, under a key that `packb` writes otherwise; in JSON the first, in a message that starts with a space. With keys it is a Fernet token
//! of that: each key is the SHA-256 of a text. The core format puts random bytes in front, outside the
//! token.
//!
//! What JSON cannot say, and what is read nevertheless:
//! - bytes, NaN and infinities are refused when written (Python writes NaN and infinities, which are
//!   no JSON); `NaN`, `Infinity`, `-Infinity` are read;
//! - integers outside -2^63 to 2^64-1 are refused when read, which Python alone can write: a rounded
//!   number would be another one, and msgpack has none of them either;
//! - half a surrogate pair (`"\ud800"`), which Python's strings may hold and Rust's may not, is
//!   read as U+FFFD; two keys that become the same so are duplicates;
//! - the last of duplicate keys wins, and lists and maps are at most
//!   [`MAX_DEPTH`](crate::event::MAX_DEPTH) deep;
//! - text is UTF-8 without a byte order mark, as channels_redis writes it. (`json.loads` would take
//!   UTF-16 and UTF-32 too.)

mod draft;
mod dumps;
mod keys;
mod loads;
mod notation;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

pub use draft::Draft;

use crate::envelope::Envelope;
use crate::error::DecodeError;
pub use crate::error::SerializeError;
use crate::msgpack;
use crate::parts::Parts;
use crate::recipients::CHANNEL_KEY;
pub use crate::recipients::{Addressed, Received, Recipients};
use keys::Keys;
pub use notation::Notation;

/// Starts a JSON message whose first entry is metadata. `json.dumps` never starts with it, and
/// `json.loads` steps over it.
const META_MARK: u8 = b' ';

/// Writes and reads what channels_redis' `MessageSerializer` reads and writes. Cheap to clone.
/// Printing it for debugging shows how many keys there are, never the keys.
#[derive(Debug, Clone)]
pub struct Serializer {
    notation: Notation,
    /// Whether `__asgi_channel__` is the layer's own.
    addressed: bool,
    /// Random bytes in front of every message.
    prefix: usize,
    keys: Option<Arc<Keys>>,
}

impl Serializer {
    /// That of channels_redis' pub/sub layer: no prefix, no channel names, keys that never expire.
    /// The first key encrypts, all decrypt; without keys nothing is encrypted.
    pub fn pubsub(notation: Notation, keys: &[String]) -> Self {
        Self {
            notation,
            addressed: false,
            prefix: 0,
            keys: Keys::new(keys, None).map(Arc::new),
        }
    }

    /// That of channels_redis' core layer: `prefix` random bytes in front (its default is 12), and
    /// tokens that are refused when they are older than `expiry` and 10 seconds, or more than 60
    /// seconds ahead.
    pub fn core(notation: Notation, keys: &[String], prefix: usize, expiry: Duration) -> Self {
        Self {
            notation,
            addressed: true,
            prefix,
            keys: Keys::new(keys, Some(expiry)).map(Arc::new),
        }
    }

    /// Encodes an event once for all its receivers. Fields with the layer's own keys are left out:
    /// an application cannot forge them.
    ///
    /// # Errors
    /// [`SerializeError`] names the field that cannot be written.
    pub fn draft(&self, envelope: &Envelope) -> Result<Draft, SerializeError> {
        let entries = envelope.event.fields().iter();
        let entries = entries.filter(|(key, _)| !self.is_reserved(key)).collect();
        match self.notation {
            Notation::Msgpack => Ok(Draft::msgpack(envelope, &entries)),
            Notation::Json => Draft::json(envelope, &entries),
        }
    }

    /// The bytes for some receivers, which the pub/sub format does not name. `metadata`: whether
    /// nodes of Fanfare are among them, for whom the envelope's metadata goes along. The draft is one
    /// of this serializer.
    ///
    /// # Errors
    /// [`SerializeError::Random`].
    pub fn finish(
        &self,
        draft: &Draft,
        to: Recipients<'_>,
        metadata: bool,
    ) -> Result<Bytes, SerializeError> {
        let to = if self.addressed { to } else { Recipients::None };
        let whole = draft.whole(to, metadata);
        let mut out = Vec::new();
        if self.prefix > 0 {
            out.reserve(self.prefix + draft.room(to));
            out.resize(self.prefix, 0);
            getrandom::fill(&mut out).map_err(|_| SerializeError::Random)?;
        }
        match (&self.keys, whole) {
            (None, Some(whole)) if out.is_empty() => return Ok(whole.clone()),
            (None, _) => out = draft.write(out, to, metadata),
            (Some(keys), Some(whole)) => out.extend(keys.encrypt(whole)?.into_bytes()),
            (Some(keys), None) => {
                let plain = draft.write(Vec::with_capacity(draft.room(to)), to, metadata);
                out.extend(keys.encrypt(&plain)?.into_bytes());
            }
        }
        Ok(out.into())
    }

    /// Reads a message; text and bytes point into `wire` where nothing was encrypted or escaped.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn read(&self, wire: &Bytes) -> Result<Received, DecodeError> {
        let mut parts = if self.addressed {
            Parts::addressed()
        } else {
            Parts::unaddressed()
        };
        let body = self.body(wire)?;
        match self.notation {
            Notation::Msgpack => msgpack::decode_into(&mut parts, &body)?,
            Notation::Json => loads::read_into(&mut parts, &body)?,
        }
        parts.received()
    }

    /// What is behind the prefix and inside the token.
    fn body(&self, wire: &Bytes) -> Result<Bytes, DecodeError> {
        if wire.len() < self.prefix {
            return Err(DecodeError::TooShort {
                bytes: wire.len(),
                prefix: self.prefix,
            });
        }
        let body = wire.slice(self.prefix..);
        match &self.keys {
            Some(keys) => keys.decrypt(&body),
            None => Ok(body),
        }
    }

    fn is_reserved(&self, key: &str) -> bool {
        self.addressed && key == CHANNEL_KEY
    }
}
