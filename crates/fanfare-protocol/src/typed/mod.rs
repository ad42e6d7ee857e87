//! Events and values from and into the types of an application, with serde.
//!
//! The notation is that of JSON: a struct is a map, an enum what its serde attributes say, an event
//! type usually an enum with `#[serde(tag = "type")]`. Unlike in JSON text, bytes stay bytes and
//! NaN stays NaN. A map's keys become text; those that were integers are read back as integers,
//! except inside an enum with a tag, where serde itself no longer knows them.

mod compound;
mod read;
mod write;

use serde::de::DeserializeOwned;
use serde::ser::Serialize;

pub use crate::typed_error::TypedError;

use crate::event::{Event, EventError, Value};
use read::Reader;
use write::Writer;

impl Event {
    /// Makes an event from a value of the application: a map with a string `type`, at most
    /// [`MAX_DEPTH`](crate::event::MAX_DEPTH) deep.
    ///
    /// # Errors
    /// [`EventError`] if the value is not a map, has no string `type`, or contains a value that an
    /// event cannot carry, such as an integer of more than 64 bits.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, EventError> {
        match Value::of(value)? {
            Value::Map(fields) => Self::from_fields(fields),
            other => Err(EventError::NotAMap {
                found: other.described(),
            }),
        }
    }

    /// Makes a value of the application from the event.
    ///
    /// # Errors
    /// [`TypedError`] if the event does not fit `T`. [`TypedError::is_unknown_type`] is true if `T`
    /// does not know the type, and false if the fields do not fit.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, TypedError> {
        T::deserialize(Reader::Fields(self.fields()))
    }
}

impl Value {
    /// The value of an event that a value of the application is.
    ///
    /// # Errors
    /// [`TypedError`] when it is nested too deep or holds what no event can carry.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, TypedError> {
        value.serialize(Writer::default())
    }

    /// The value as one of the application.
    ///
    /// # Errors
    /// [`TypedError`] when it is not of this shape.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, TypedError> {
        T::deserialize(Reader::new(self))
    }
}
