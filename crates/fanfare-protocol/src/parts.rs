//! The entries of a message, told apart as they are read.

use bytestring::ByteString;

use crate::envelope::Envelope;
use crate::error::DecodeError;
use crate::event::{Event, Value};
use crate::fields::Fields;
use crate::meta::Meta;
use crate::recipients::{Addressed, CHANNEL_KEY, Received};

/// What either notation hands its entries to, so that no second walk looks for the layer's keys.
pub(crate) struct Parts {
    /// Whether `__asgi_channel__` is the layer's and not a field.
    addressed: bool,
    fields: Fields,
    meta: Meta,
    to: Addressed,
}

impl Parts {
    pub(crate) fn addressed() -> Self {
        Self {
            addressed: true,
            ..Self::unaddressed()
        }
    }

    pub(crate) fn unaddressed() -> Self {
        Self {
            addressed: false,
            fields: Fields::default(),
            meta: Meta::default(),
            to: Addressed::Nobody,
        }
    }

    pub(crate) fn reserve(&mut self, entries: usize) {
        self.fields.reserve(entries);
    }

    /// Takes the metadata; `malformed` makes the notation's error, with its place, of a reason.
    pub(crate) fn take_metadata(
        &mut self,
        value: Value,
        malformed: impl FnOnce(&'static str) -> DecodeError,
    ) -> Result<(), DecodeError> {
        self.meta = Meta::read(value).map_err(malformed)?;
        Ok(())
    }

    /// Takes an entry.
    pub(crate) fn take(&mut self, key: ByteString, value: Value) -> Result<(), DecodeError> {
        if self.addressed && key == CHANNEL_KEY {
            self.to = recipients(value)?;
        } else {
            self.fields.insert(key, value);
        }
        Ok(())
    }

    pub(crate) fn received(self) -> Result<Received, DecodeError> {
        let event = Event::from_fields(self.fields.into_entries())?;
        let envelope = Envelope {
            event,
            exclude: self.meta.exclude,
            close: self.meta.close,
        };
        let to = self.to;
        Ok(Received { envelope, to })
    }
}

fn recipients(value: Value) -> Result<Addressed, DecodeError> {
    match value {
        Value::Str(name) => Ok(Addressed::One(name)),
        Value::List(names) => {
            let name = |value| match value {
                Value::Str(name) => Ok(name),
                _ => Err(DecodeError::Recipients {
                    found: "a list of anything else",
                }),
            };
            let names = names.into_iter().map(name).collect::<Result<_, _>>()?;
            Ok(Addressed::Many(names))
        }
        other => Err(DecodeError::Recipients {
            found: other.described(),
        }),
    }
}
