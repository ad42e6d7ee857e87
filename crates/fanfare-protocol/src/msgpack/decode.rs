//! Reading envelopes: whatever `msgpack.packb` of Python can write, without copying text or bytes.

use bytes::Bytes;
use bytestring::ByteString;
use rmp::Marker;

use super::{META_KEY_OF_NODES, META_KEY_OF_PYTHON};
use crate::envelope::Envelope;
use crate::error::DecodeError;
use crate::event::{MAX_DEPTH, Value};
use crate::fields::Fields;
use crate::json;
use crate::parts::Parts;

/// Room made ahead for an announced number of items; more is made as they come.
const AHEAD: usize = 16;
/// The extension type of `msgpack.Timestamp`.
const TIMESTAMP: i8 = -1;

type Read<T> = Result<T, DecodeError>;

/// See [`Envelope::from_msgpack`].
pub(crate) fn decode(wire: &Bytes) -> Read<Envelope> {
    let mut parts = Parts::unaddressed();
    decode_into(&mut parts, wire)?;
    Ok(parts.received()?.envelope)
}

/// Hands every entry of the message's map over as it comes.
pub(crate) fn decode_into(parts: &mut Parts, wire: &Bytes) -> Read<()> {
    let mut reader = Reader { wire, at: 0 };
    let marker = reader.marker()?;
    let Some(len) = reader.map_len(marker)? else {
        return Err(DecodeError::NotAMap {
            found: describe(marker),
        });
    };
    parts.reserve(len.min(AHEAD));
    for _ in 0..len {
        if reader.skip(&META_KEY_OF_NODES) || reader.skip(&META_KEY_OF_PYTHON) {
            let at = reader.at;
            let metadata = reader.value(1)?;
            parts.take_metadata(metadata, |reason| DecodeError::Malformed { at, reason })?;
        } else {
            let key = reader.key()?;
            parts.take(key, reader.value(1)?)?;
        }
    }
    if reader.at != wire.len() {
        return reader.malformed("bytes follow the message");
    }
    Ok(())
}

struct Reader<'a> {
    wire: &'a Bytes,
    at: usize,
}

impl Reader<'_> {
    fn malformed<T>(&self, reason: &'static str) -> Read<T> {
        Err(DecodeError::Malformed {
            at: self.at,
            reason,
        })
    }

    fn cut<T>(&self) -> Read<T> {
        Err(DecodeError::Malformed {
            at: self.wire.len(),
            reason: "the message is cut short",
        })
    }

    /// Whether these bytes are next, which are then behind.
    fn skip(&mut self, bytes: &[u8]) -> bool {
        let is_next = self
            .wire
            .get(self.at..)
            .is_some_and(|rest| rest.starts_with(bytes));
        if is_next {
            self.at += bytes.len();
        }
        is_next
    }

    fn marker(&mut self) -> Read<Marker> {
        self.array().map(|[byte]| Marker::from_u8(byte))
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let rest = self.wire.get(self.at..).unwrap_or_default();
        let Some(array) = rest.first_chunk() else {
            return self.cut();
        };
        self.at += N;
        Ok(*array)
    }

    fn len8(&mut self) -> Read<usize> {
        self.array().map(|[len]| usize::from(len))
    }

    fn len16(&mut self) -> Read<usize> {
        self.array().map(|len| usize::from(u16::from_be_bytes(len)))
    }

    fn len32(&mut self) -> Read<usize> {
        self.array().map(|len| u32::from_be_bytes(len) as usize)
    }

    fn bytes(&mut self, len: usize) -> Read<Bytes> {
        if len > self.wire.len() - self.at {
            return self.cut();
        }
        let start = self.at;
        self.at += len;
        Ok(self.wire.slice(start..self.at))
    }

    fn text(&mut self, len: usize) -> Read<ByteString> {
        let bytes = self.bytes(len)?;
        ByteString::try_from(bytes).or_else(|error| {
            self.at = self.at - len + error.valid_up_to();
            self.malformed("the string is not UTF-8")
        })
    }

    /// The length of a map, `None` when the marker is of something else.
    fn map_len(&mut self, marker: Marker) -> Read<Option<usize>> {
        Ok(Some(match marker {
            Marker::FixMap(len) => usize::from(len),
            Marker::Map16 => self.len16()?,
            Marker::Map32 => self.len32()?,
            _ => return Ok(None),
        }))
    }

    /// A key in its JSON spelling.
    fn key(&mut self) -> Read<ByteString> {
        let start = self.at;
        let marker = self.marker()?;
        let illegal = |reason| Err(DecodeError::Malformed { at: start, reason });
        match describe(marker) {
            "a list" | "a map" => return illegal("a key is a list or a map"),
            "an extension" => return illegal("a key is an extension"),
            _ => {}
        }
        match self.value_of(marker, MAX_DEPTH)? {
            Value::Str(key) => Ok(key),
            Value::Bin(key) => match ByteString::try_from(key) {
                Ok(key) => Ok(key),
                Err(_) => illegal("a key of bytes is not UTF-8"),
            },
            other => Ok(json::spelling(&other)),
        }
    }

    /// A value that stands inside `depth` lists and maps.
    fn value(&mut self, depth: usize) -> Read<Value> {
        let marker = self.marker()?;
        self.value_of(marker, depth)
    }

    fn value_of(&mut self, marker: Marker, depth: usize) -> Read<Value> {
        Ok(match marker {
            Marker::Null => Value::Nil,
            Marker::True => Value::Bool(true),
            Marker::False => Value::Bool(false),
            Marker::FixStr(len) => Value::Str(self.text(usize::from(len))?),
            Marker::Str8 => self.len8().and_then(|len| self.text(len)).map(Value::Str)?,
            Marker::Str16 => self
                .len16()
                .and_then(|len| self.text(len))
                .map(Value::Str)?,
            Marker::Str32 => self
                .len32()
                .and_then(|len| self.text(len))
                .map(Value::Str)?,
            Marker::Bin8 => self
                .len8()
                .and_then(|len| self.bytes(len))
                .map(Value::Bin)?,
            Marker::Bin16 => self
                .len16()
                .and_then(|len| self.bytes(len))
                .map(Value::Bin)?,
            Marker::Bin32 => self
                .len32()
                .and_then(|len| self.bytes(len))
                .map(Value::Bin)?,
            Marker::FixArray(len) => self.list(usize::from(len), depth)?,
            Marker::Array16 => self.len16().and_then(|len| self.list(len, depth))?,
            Marker::Array32 => self.len32().and_then(|len| self.list(len, depth))?,
            Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => {
                let len = self.map_len(marker)?.unwrap_or_default();
                self.map(len, depth)?
            }
            Marker::FixExt1 => self.extension(1)?,
            Marker::FixExt2 => self.extension(2)?,
            Marker::FixExt4 => self.extension(4)?,
            Marker::FixExt8 => self.extension(8)?,
            Marker::FixExt16 => self.extension(16)?,
            Marker::Ext8 => self.len8().and_then(|len| self.extension(len))?,
            Marker::Ext16 => self.len16().and_then(|len| self.extension(len))?,
            Marker::Ext32 => self.len32().and_then(|len| self.extension(len))?,
            Marker::Reserved => {
                self.at -= 1;
                return self.malformed("the byte 0xc1 is never used");
            }
            number => self.number(number)?,
        })
    }

    fn number(&mut self, marker: Marker) -> Read<Value> {
        Ok(match marker {
            Marker::FixPos(number) => Value::Int(number.into()),
            Marker::FixNeg(number) => Value::Int(number.into()),
            Marker::U8 => Value::Int(u8::from_be_bytes(self.array()?).into()),
            Marker::U16 => Value::Int(u16::from_be_bytes(self.array()?).into()),
            Marker::U32 => Value::Int(u32::from_be_bytes(self.array()?).into()),
            Marker::U64 => Value::from(u64::from_be_bytes(self.array()?)),
            Marker::I8 => Value::Int(i8::from_be_bytes(self.array()?).into()),
            Marker::I16 => Value::Int(i16::from_be_bytes(self.array()?).into()),
            Marker::I32 => Value::Int(i32::from_be_bytes(self.array()?).into()),
            Marker::I64 => Value::Int(i64::from_be_bytes(self.array()?)),
            Marker::F32 => Value::Float(f32::from_be_bytes(self.array()?).into()),
            Marker::F64 => Value::Float(f64::from_be_bytes(self.array()?)),
            _ => return self.malformed("not a number"),
        })
    }

    fn deeper(&self, depth: usize) -> Read<usize> {
        if depth >= MAX_DEPTH {
            return self.malformed("lists and maps are nested more than 64 deep");
        }
        Ok(depth + 1)
    }

    fn list(&mut self, len: usize, depth: usize) -> Read<Value> {
        let depth = self.deeper(depth)?;
        let mut items = Vec::with_capacity(len.min(AHEAD));
        for _ in 0..len {
            items.push(self.value(depth)?);
        }
        Ok(Value::List(items))
    }

    fn map(&mut self, len: usize, depth: usize) -> Read<Value> {
        let depth = self.deeper(depth)?;
        let mut fields = Fields::with_capacity(len.min(AHEAD));
        for _ in 0..len {
            let key = self.key()?;
            fields.insert(key, self.value(depth)?);
        }
        Ok(Value::Map(fields.into_entries()))
    }

    fn extension(&mut self, len: usize) -> Read<Value> {
        let [kind] = self.array()?;
        let start = self.at;
        let data = self.bytes(len)?;
        if kind as i8 != TIMESTAMP {
            return Ok(Value::Bin(data));
        }
        let reason = "the timestamp is illegal";
        timestamp(&data).ok_or(DecodeError::Malformed { at: start, reason })
    }
}

/// Seconds since 1970, a float only when there is a fraction.
fn timestamp(data: &[u8]) -> Option<Value> {
    let (seconds, nanos) = if let Ok(seconds) = <[u8; 4]>::try_from(data) {
        (i64::from(u32::from_be_bytes(seconds)), 0)
    } else if let Ok(both) = <[u8; 8]>::try_from(data) {
        let both = u64::from_be_bytes(both);
        // 30 bits of nanoseconds, 34 of seconds.
        ((both & 0x3_FFFF_FFFF) as i64, (both >> 34) as u32)
    } else {
        let (nanos, seconds) = data.split_first_chunk()?;
        (
            i64::from_be_bytes(seconds.try_into().ok()?),
            u32::from_be_bytes(*nanos),
        )
    };
    match nanos {
        0 => Some(Value::Int(seconds)),
        1..=999_999_999 => Some(Value::Float(seconds as f64 + f64::from(nanos) / 1e9)),
        _ => None,
    }
}

fn describe(marker: Marker) -> &'static str {
    match marker {
        Marker::Null => "nil",
        Marker::True | Marker::False => "a boolean",
        Marker::F32 | Marker::F64 => "a float",
        Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => "a string",
        Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => "bytes",
        Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => "a list",
        Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => "a map",
        Marker::Ext8 | Marker::Ext16 | Marker::Ext32 => "an extension",
        Marker::FixExt1 | Marker::FixExt2 | Marker::FixExt4 => "an extension",
        Marker::FixExt8 | Marker::FixExt16 => "an extension",
        Marker::Reserved => "the byte 0xc1, which is never used",
        _ => "an integer",
    }
}
