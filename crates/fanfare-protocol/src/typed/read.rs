//! A serde format that is read from values: text and bytes are lent, not copied.

use std::slice;

use bytestring::ByteString;
use serde::de::value::{BorrowedStrDeserializer, MapAccessDeserializer};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use crate::event::Value;
use crate::typed_error::TypedError;

type Read<T> = Result<T, TypedError>;

/// What is read next.
#[derive(Clone, Copy)]
pub(super) enum Reader<'de> {
    /// A map, or an event.
    Fields(&'de [(ByteString, Value)]),
    /// Anything else.
    Other(&'de Value),
}

impl<'de> Reader<'de> {
    pub(super) fn new(value: &'de Value) -> Self {
        match value {
            Value::Map(fields) => Self::Fields(fields),
            other => Self::Other(other),
        }
    }
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = TypedError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        let value = match self {
            Self::Fields(fields) => return visitor.visit_map(Entries::new(fields)),
            Self::Other(value) => value,
        };
        match value {
            Value::Nil => visitor.visit_unit(),
            Value::Bool(flag) => visitor.visit_bool(*flag),
            Value::Int(number) => visitor.visit_i64(*number),
            Value::UInt(number) => visitor.visit_u64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Str(text) => visitor.visit_borrowed_str(text),
            Value::Bin(bytes) => visitor.visit_borrowed_bytes(bytes),
            Value::List(items) => whole_list(items, visitor),
            Value::Map(fields) => visitor.visit_map(Entries::new(fields)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        match self {
            Self::Other(Value::Nil) => visitor.visit_none(),
            some => visitor.visit_some(some),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Read<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Read<V::Value> {
        match self {
            Self::Other(Value::Str(variant)) => {
                visitor.visit_enum(BorrowedStrDeserializer::new(variant))
            }
            Self::Fields(fields @ [_]) => {
                visitor.visit_enum(MapAccessDeserializer::new(Entries::new(fields)))
            }
            Self::Fields(_) => Err(TypedError::new("a variant is a map with one key")),
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier
    }
}

fn whole_list<'de, V: Visitor<'de>>(items: &'de [Value], visitor: V) -> Read<V::Value> {
    let mut list = Items {
        rest: items.iter(),
        len: items.len(),
    };
    let value = visitor.visit_seq(&mut list)?;
    if list.rest.len() > 0 {
        return Err(TypedError::invalid_length(items.len(), &"a shorter list"));
    }
    Ok(value)
}

struct Items<'de> {
    rest: slice::Iter<'de, Value>,
    len: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = TypedError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Read<Option<T::Value>> {
        let index = self.len - self.rest.len();
        let Some(item) = self.rest.next() else {
            return Ok(None);
        };
        let item = seed.deserialize(Reader::new(item));
        item.map(Some).map_err(|error| error.item(index))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

struct Entries<'de> {
    rest: slice::Iter<'de, (ByteString, Value)>,
    /// The entry of which the key has been read.
    entry: Option<&'de (ByteString, Value)>,
}

impl<'de> Entries<'de> {
    fn new(fields: &'de [(ByteString, Value)]) -> Self {
        Self {
            rest: fields.iter(),
            entry: None,
        }
    }
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = TypedError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Read<Option<K::Value>> {
        self.entry = self.rest.next();
        let key = self.entry.map(|(key, _)| seed.deserialize(Key(key)));
        key.transpose()
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Read<T::Value> {
        let Some((key, value)) = self.entry.take() else {
            return Err(TypedError::new("a value was asked for before its key"));
        };
        let value = seed.deserialize(Reader::new(value));
        value.map_err(|error| error.under(key))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

/// A key: text, or a number or boolean in its JSON spelling where one is asked for.
#[derive(Clone, Copy)]
struct Key<'de>(&'de str);

impl<'de> Deserializer<'de> for Key<'de> {
    type Error = TypedError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        match (self.0.parse(), self.0.parse()) {
            (Ok(number), _) => visitor.visit_i64(number),
            (_, Ok(number)) => visitor.visit_u64(number),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        match self.0.parse() {
            Ok(number) => visitor.visit_f64(number),
            Err(_) => self.deserialize_any(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        match self.0.parse() {
            Ok(flag) => visitor.visit_bool(flag),
            Err(_) => self.deserialize_any(visitor),
        }
    }

    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_i16<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        self.deserialize_i64(visitor)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Read<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Read<V::Value> {
        visitor.visit_enum(BorrowedStrDeserializer::new(self.0))
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}
