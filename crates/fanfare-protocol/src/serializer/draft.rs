//! Messages from pieces that were written once.

use std::ops::Range;

use bytes::Bytes;
use bytestring::ByteString;
use rmp::encode::{self, ByteBuf};

use super::META_MARK;
use super::dumps::{self, Unwritable};
use super::notation::Notation;
use crate::envelope::Envelope;
use crate::error::SerializeError;
use crate::event::Value;
use crate::msgpack::encode as msgpack;
use crate::recipients::{CHANNEL_KEY, Recipients};

/// Room for the key of a recipient list, and for what stands around a name.
const KEY_ROOM: usize = 24;
const NAME_ROOM: usize = 5;

/// An event that is encoded but for what differs from one receiver to the next.
#[derive(Debug, Clone)]
pub struct Draft {
    notation: Notation,
    /// The whole message when nothing is added.
    plain: Bytes,
    /// Where the entries are in `plain`, without what is around them.
    inner: Range<usize>,
    /// How many entries these are.
    count: usize,
    /// The metadata's entry; empty when there is none.
    metadata: Bytes,
}

/// The event's own entries: keys of the layer are not among them.
type Entries<'a> = Vec<&'a (ByteString, Value)>;

impl Draft {
    pub(super) fn msgpack(envelope: &Envelope, entries: &Entries<'_>) -> Self {
        let mut out = ByteBuf::with_capacity(128);
        let Ok(()) = msgpack::write_map_len(&mut out, entries.len());
        let start = out.as_slice().len();
        let Ok(()) = msgpack::write_entries(&mut out, entries.iter().copied());
        let plain = Bytes::from(out.into_vec());
        let mut metadata = ByteBuf::new();
        let Ok(()) = msgpack::write_metadata(&mut metadata, envelope);
        Self {
            notation: Notation::Msgpack,
            inner: start..plain.len(),
            plain,
            count: entries.len(),
            metadata: metadata.into_vec().into(),
        }
    }

    pub(super) fn json(envelope: &Envelope, entries: &Entries<'_>) -> Result<Self, SerializeError> {
        let mut out = String::with_capacity(128);
        out.push('{');
        for (at, (key, value)) in entries.iter().enumerate() {
            dumps::separate(&mut out, at);
            dumps::write_key(&mut out, key);
            dumps::write_value(&mut out, value).map_err(|reason| refused(key, reason))?;
        }
        let inner = 1..out.len();
        out.push('}');
        let mut metadata = String::new();
        dumps::write_metadata(&mut metadata, envelope);
        Ok(Self {
            notation: Notation::Json,
            plain: out.into(),
            inner,
            count: entries.len(),
            metadata: metadata.into(),
        })
    }

    /// Its size in bytes, about that of every message that is made of it.
    pub fn len(&self) -> usize {
        self.plain.len()
    }

    /// Never: an event has at least its type.
    pub fn is_empty(&self) -> bool {
        self.plain.is_empty()
    }

    /// The message as it was drafted, when that is all of it.
    pub(super) fn whole(&self, to: Recipients<'_>, metadata: bool) -> Option<&Bytes> {
        let is_whole = matches!(to, Recipients::None) && (!metadata || self.metadata.is_empty());
        is_whole.then_some(&self.plain)
    }

    /// What [`write`](Self::write) adds, at most or nearly so.
    pub(super) fn room(&self, to: Recipients<'_>) -> usize {
        let names = match to {
            Recipients::None => 0,
            Recipients::One(name) => KEY_ROOM + name.len() + NAME_ROOM,
            Recipients::Many(names) => {
                KEY_ROOM + names.iter().map(|it| it.len() + NAME_ROOM).sum::<usize>()
            }
        };
        self.plain.len() + self.metadata.len() + names + KEY_ROOM
    }

    /// The message behind what is in `out`.
    pub(super) fn write(&self, out: Vec<u8>, to: Recipients<'_>, metadata: bool) -> Vec<u8> {
        let metadata = if metadata { &*self.metadata } else { &[] };
        match self.notation {
            Notation::Msgpack => self.write_msgpack(out, to, metadata),
            Notation::Json => self.write_json(out, to, metadata),
        }
    }

    fn entries(&self) -> &[u8] {
        self.plain.get(self.inner.clone()).unwrap_or_default()
    }

    fn write_msgpack(&self, out: Vec<u8>, to: Recipients<'_>, metadata: &[u8]) -> Vec<u8> {
        let added = usize::from(!metadata.is_empty()) + usize::from(to.is_some());
        let mut out = ByteBuf::from_vec(out);
        let Ok(()) = msgpack::write_map_len(&mut out, self.count + added);
        out.as_mut_vec().extend_from_slice(self.entries());
        out.as_mut_vec().extend_from_slice(metadata);
        let Ok(()) = write_recipients(&mut out, to);
        out.into_vec()
    }

    fn write_json(&self, mut out: Vec<u8>, to: Recipients<'_>, metadata: &[u8]) -> Vec<u8> {
        if metadata.is_empty() {
            out.push(b'{');
        } else {
            out.extend_from_slice(&[META_MARK, b'{']);
            out.extend_from_slice(metadata);
            out.extend_from_slice(b", ");
        }
        out.extend_from_slice(self.entries());
        let mut end = String::new();
        if to.is_some() {
            end.push_str(", ");
            dumps::write_key(&mut end, CHANNEL_KEY);
        }
        match to {
            Recipients::None => {}
            Recipients::One(name) => dumps::write_text(&mut end, name),
            Recipients::Many(names) => dumps::write_texts(&mut end, names.iter().copied()),
        }
        end.push('}');
        out.extend_from_slice(end.as_bytes());
        out
    }
}

impl Recipients<'_> {
    fn is_some(self) -> bool {
        !matches!(self, Self::None)
    }
}

fn write_recipients(out: &mut ByteBuf, to: Recipients<'_>) -> msgpack::Written<()> {
    if to.is_some() {
        encode::write_str(out, CHANNEL_KEY)?;
    }
    match to {
        Recipients::None => {}
        Recipients::One(name) => encode::write_str(out, name)?,
        Recipients::Many(names) => {
            msgpack::write_list_len(out, names.len())?;
            for name in names {
                encode::write_str(out, name)?;
            }
        }
    }
    Ok(())
}

fn refused(key: &ByteString, reason: Unwritable) -> SerializeError {
    let field = key.to_string();
    match reason {
        Unwritable::Bytes => SerializeError::Bytes { field },
        Unwritable::NotFinite(number) => SerializeError::NotFinite { field, number },
    }
}
