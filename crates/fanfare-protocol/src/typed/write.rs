//! A serde format that is written as values.

use bytes::Bytes;
use bytestring::ByteString;
use serde::ser::{Serialize, Serializer};

use super::compound::{List, Map, wrapped};
use crate::event::{BINARY, MAX_DEPTH, Value};
use crate::typed_error::TypedError;

pub(super) type Written<T> = Result<T, TypedError>;

/// Writes one value.
#[derive(Default, Clone, Copy)]
pub(super) struct Writer {
    /// How many lists and maps it stands in.
    depth: usize,
    /// Whether it is the inside of [`Value::Bin`].
    binary: bool,
}

impl Writer {
    fn deeper(self) -> Written<Self> {
        if self.depth >= MAX_DEPTH {
            return Err(TypedError::new(
                "lists and maps are nested more than 64 deep",
            ));
        }
        Ok(Self {
            depth: self.depth + 1,
            binary: false,
        })
    }

    fn list(self, len: Option<usize>) -> Written<List> {
        Ok(List::new(self.deeper()?, len.unwrap_or_default()))
    }

    fn map(self, len: Option<usize>) -> Written<Map> {
        Ok(Map::new(self.deeper()?, len.unwrap_or_default()))
    }
}

impl Serializer for Writer {
    type Ok = Value;
    type Error = TypedError;
    type SerializeSeq = List;
    type SerializeTuple = List;
    type SerializeTupleStruct = List;
    type SerializeTupleVariant = List;
    type SerializeMap = Map;
    type SerializeStruct = Map;
    type SerializeStructVariant = Map;

    /// Times and addresses are text, as in JSON; only [`Value::Bin`] looks here for bytes.
    fn is_human_readable(&self) -> bool {
        !self.binary
    }

    fn serialize_bool(self, flag: bool) -> Written<Value> {
        Ok(Value::Bool(flag))
    }

    fn serialize_i8(self, number: i8) -> Written<Value> {
        Ok(Value::Int(number.into()))
    }

    fn serialize_i16(self, number: i16) -> Written<Value> {
        Ok(Value::Int(number.into()))
    }

    fn serialize_i32(self, number: i32) -> Written<Value> {
        Ok(Value::Int(number.into()))
    }

    fn serialize_i64(self, number: i64) -> Written<Value> {
        Ok(Value::Int(number))
    }

    fn serialize_i128(self, number: i128) -> Written<Value> {
        if let Ok(number) = i64::try_from(number) {
            return Ok(Value::Int(number));
        }
        let number = u64::try_from(number);
        number
            .map(Value::UInt)
            .map_err(|_| TypedError::new("an integer has more than 64 bits"))
    }

    fn serialize_u8(self, number: u8) -> Written<Value> {
        Ok(Value::Int(number.into()))
    }

    fn serialize_u16(self, number: u16) -> Written<Value> {
        Ok(Value::Int(number.into()))
    }

    fn serialize_u32(self, number: u32) -> Written<Value> {
        Ok(Value::Int(number.into()))
    }

    fn serialize_u64(self, number: u64) -> Written<Value> {
        Ok(Value::from(number))
    }

    fn serialize_u128(self, number: u128) -> Written<Value> {
        self.serialize_i128(i128::try_from(number).unwrap_or(i128::MAX))
    }

    fn serialize_f32(self, number: f32) -> Written<Value> {
        Ok(Value::Float(number.into()))
    }

    fn serialize_f64(self, number: f64) -> Written<Value> {
        Ok(Value::Float(number))
    }

    fn serialize_char(self, char: char) -> Written<Value> {
        self.serialize_str(char.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, text: &str) -> Written<Value> {
        Ok(Value::from(text))
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Written<Value> {
        Ok(Value::Bin(Bytes::copy_from_slice(bytes)))
    }

    fn serialize_none(self) -> Written<Value> {
        Ok(Value::Nil)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Written<Value> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Written<Value> {
        Ok(Value::Nil)
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Written<Value> {
        Ok(Value::Nil)
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Written<Value> {
        Ok(Value::Str(ByteString::from_static(variant)))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Written<Value> {
        value.serialize(Self {
            binary: name == BINARY,
            ..self
        })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Written<Value> {
        let value = value.serialize(self.deeper()?);
        Ok(wrapped(
            Some(variant),
            value.map_err(|error| error.under(variant))?,
        ))
    }

    fn serialize_seq(self, len: Option<usize>) -> Written<List> {
        self.list(len)
    }

    fn serialize_tuple(self, len: usize) -> Written<List> {
        self.list(Some(len))
    }

    fn serialize_tuple_struct(self, _name: &'static str, len: usize) -> Written<List> {
        self.list(Some(len))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Written<List> {
        Ok(self.deeper()?.list(Some(len))?.of_variant(variant))
    }

    fn serialize_map(self, len: Option<usize>) -> Written<Map> {
        self.map(len)
    }

    fn serialize_struct(self, _name: &'static str, len: usize) -> Written<Map> {
        self.map(Some(len))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Written<Map> {
        Ok(self.deeper()?.map(Some(len))?.of_variant(variant))
    }
}
