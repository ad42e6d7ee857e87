//! Writing envelopes as `msgpack.packb` of Python writes dictionaries: the smallest form of every
//! integer and length, floats with 64 bits, text and bytes apart.

use std::convert::Infallible;

use bytes::Bytes;
use bytestring::ByteString;
use rmp::encode::{self, ByteBuf, ValueWriteError};

use super::META_KEY_OF_NODES;
use crate::envelope::{CLOSE_KEY, EXCLUDE_KEY, Envelope};
use crate::event::Value;

/// Writing to memory cannot fail.
pub(crate) type Written<T> = Result<T, ValueWriteError<Infallible>>;

/// See [`Envelope::to_msgpack`].
pub(crate) fn encode(envelope: &Envelope) -> Bytes {
    let mut out = ByteBuf::with_capacity(128);
    let Ok(()) = write_envelope(&mut out, envelope);
    out.into_vec().into()
}

fn write_envelope(out: &mut ByteBuf, envelope: &Envelope) -> Written<()> {
    let fields = envelope.event.fields();
    write_map_len(out, fields.len() + usize::from(envelope.has_metadata()))?;
    write_entries(out, fields.iter())?;
    write_metadata(out, envelope)
}

/// The metadata with its key, when there is some.
pub(crate) fn write_metadata(out: &mut ByteBuf, envelope: &Envelope) -> Written<()> {
    if !envelope.has_metadata() {
        return Ok(());
    }
    let entries = usize::from(!envelope.exclude.is_empty()) + usize::from(envelope.close.is_some());
    out.as_mut_vec().extend_from_slice(&META_KEY_OF_NODES);
    write_map_len(out, entries)?;
    if !envelope.exclude.is_empty() {
        encode::write_str(out, EXCLUDE_KEY)?;
        write_list_len(out, envelope.exclude.len())?;
        for channel in &envelope.exclude {
            encode::write_str(out, channel.as_str())?;
        }
    }
    if let Some(close) = &envelope.close {
        encode::write_str(out, CLOSE_KEY)?;
        write_list_len(out, 2)?;
        encode::write_uint(out, close.code.0.into())?;
        encode::write_str(out, &close.reason)?;
    }
    Ok(())
}

/// Keys and values, without the length of their map.
pub(crate) fn write_entries<'a>(
    out: &mut ByteBuf,
    entries: impl Iterator<Item = &'a (ByteString, Value)>,
) -> Written<()> {
    for (key, value) in entries {
        encode::write_str(out, key)?;
        write_value(out, value)?;
    }
    Ok(())
}

fn write_value(out: &mut ByteBuf, value: &Value) -> Written<()> {
    match value {
        Value::Nil => encode::write_nil(out).map_err(ValueWriteError::InvalidMarkerWrite)?,
        Value::Bool(flag) => {
            encode::write_bool(out, *flag).map_err(ValueWriteError::InvalidMarkerWrite)?;
        }
        Value::Int(number) => drop(encode::write_sint(out, *number)?),
        Value::UInt(number) => drop(encode::write_uint(out, *number)?),
        Value::Float(number) => encode::write_f64(out, *number)?,
        Value::Str(text) => encode::write_str(out, text)?,
        Value::Bin(bytes) => encode::write_bin(out, bytes)?,
        Value::List(items) => {
            write_list_len(out, items.len())?;
            for item in items {
                write_value(out, item)?;
            }
        }
        Value::Map(entries) => {
            write_map_len(out, entries.len())?;
            write_entries(out, entries.iter())?;
        }
    }
    Ok(())
}

pub(crate) fn write_list_len(out: &mut ByteBuf, len: usize) -> Written<()> {
    encode::write_array_len(out, len as u32).map(drop)
}

pub(crate) fn write_map_len(out: &mut ByteBuf, len: usize) -> Written<()> {
    encode::write_map_len(out, len as u32).map(drop)
}
