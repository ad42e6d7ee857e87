//! Lists and maps while they are written.

use bytestring::ByteString;
use serde::ser::{self, Serialize};

use super::write::{Writer, Written};
use crate::event::Value;
use crate::fields::Fields;
use crate::json;
use crate::typed_error::TypedError;

/// Room made ahead for an announced number of items; more is made as they come.
const AHEAD: usize = 16;

/// Writes a list.
pub(super) struct List {
    inside: Writer,
    items: Vec<Value>,
    variant: Option<&'static str>,
}

impl List {
    pub(super) fn new(inside: Writer, len: usize) -> Self {
        Self {
            inside,
            items: Vec::with_capacity(len.min(AHEAD)),
            variant: None,
        }
    }

    pub(super) fn of_variant(mut self, variant: &'static str) -> Self {
        self.variant = Some(variant);
        self
    }
}

impl ser::SerializeSeq for List {
    type Ok = Value;
    type Error = TypedError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Written<()> {
        let item = value.serialize(self.inside);
        let item = item.map_err(|error| error.item(self.items.len()))?;
        self.items.push(item);
        Ok(())
    }

    fn end(self) -> Written<Value> {
        Ok(wrapped(self.variant, Value::List(self.items)))
    }
}

impl ser::SerializeTuple for List {
    type Ok = Value;
    type Error = TypedError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Written<()> {
        ser::SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Written<Value> {
        ser::SerializeSeq::end(self)
    }
}

impl ser::SerializeTupleStruct for List {
    type Ok = Value;
    type Error = TypedError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Written<()> {
        ser::SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Written<Value> {
        ser::SerializeSeq::end(self)
    }
}

impl ser::SerializeTupleVariant for List {
    type Ok = Value;
    type Error = TypedError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Written<()> {
        ser::SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Written<Value> {
        ser::SerializeSeq::end(self)
    }
}

/// Writes a map.
pub(super) struct Map {
    inside: Writer,
    fields: Fields,
    /// The key of the value that comes next.
    key: Option<ByteString>,
    variant: Option<&'static str>,
}

impl Map {
    pub(super) fn new(inside: Writer, len: usize) -> Self {
        Self {
            inside,
            fields: Fields::with_capacity(len.min(AHEAD)),
            key: None,
            variant: None,
        }
    }

    pub(super) fn of_variant(mut self, variant: &'static str) -> Self {
        self.variant = Some(variant);
        self
    }

    fn insert<T: Serialize + ?Sized>(&mut self, key: ByteString, value: &T) -> Written<()> {
        let value = value.serialize(self.inside);
        let value = value.map_err(|error| error.under(&key))?;
        self.fields.insert(key, value);
        Ok(())
    }
}

impl ser::SerializeMap for Map {
    type Ok = Value;
    type Error = TypedError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Written<()> {
        let key = match key.serialize(self.inside)? {
            Value::Str(key) => key,
            Value::List(_) | Value::Map(_) => {
                return Err(TypedError::new("a key is a list or a map"));
            }
            Value::Bin(_) => return Err(TypedError::new("a key is bytes")),
            scalar => json::spelling(&scalar),
        };
        self.key = Some(key);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Written<()> {
        match self.key.take() {
            Some(key) => self.insert(key, value),
            None => Err(TypedError::new("a value was written before its key")),
        }
    }

    fn end(self) -> Written<Value> {
        Ok(wrapped(
            self.variant,
            Value::Map(self.fields.into_entries()),
        ))
    }
}

impl ser::SerializeStruct for Map {
    type Ok = Value;
    type Error = TypedError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Written<()> {
        self.insert(ByteString::from_static(key), value)
    }

    fn end(self) -> Written<Value> {
        ser::SerializeMap::end(self)
    }
}

impl ser::SerializeStructVariant for Map {
    type Ok = Value;
    type Error = TypedError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Written<()> {
        self.insert(ByteString::from_static(key), value)
    }

    fn end(self) -> Written<Value> {
        ser::SerializeMap::end(self)
    }
}

/// A variant of an enum without a tag is a map with its name as the only key.
pub(super) fn wrapped(variant: Option<&'static str>, value: Value) -> Value {
    match variant {
        None => value,
        Some(variant) => Value::Map(vec![(ByteString::from_static(variant), value)]),
    }
}
