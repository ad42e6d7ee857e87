//! The metadata map of an envelope.

use crate::close::{Close, CloseCode};
use crate::envelope::{CLOSE_KEY, EXCLUDE_KEY};
use crate::event::Value;
use crate::name::ChannelName;

/// What nodes say about an event.
#[derive(Default)]
pub(crate) struct Meta {
    pub(crate) exclude: Vec<ChannelName>,
    pub(crate) close: Option<Close>,
}

impl Meta {
    /// Keys that are not known are of later versions and do no harm.
    pub(crate) fn read(value: Value) -> Result<Self, &'static str> {
        let Value::Map(entries) = value else {
            return Err("the metadata is no map");
        };
        let mut meta = Self::default();
        for (key, value) in entries {
            match &*key {
                EXCLUDE_KEY => meta.exclude = exclude(value)?,
                CLOSE_KEY => meta.close = Some(close(value)?),
                _ => {}
            }
        }
        Ok(meta)
    }
}

/// The channels to leave out.
fn exclude(value: Value) -> Result<Vec<ChannelName>, &'static str> {
    let Value::List(names) = value else {
        return Err("the metadata's exclude is no list");
    };
    let name = |value| match value {
        Value::Str(name) => ChannelName::from_wire(&name),
        _ => None,
    };
    let names = names.into_iter().map(name).collect::<Option<_>>();
    names.ok_or("the metadata excludes what is no channel name")
}

/// The order to close.
fn close(value: Value) -> Result<Close, &'static str> {
    let Value::List(items) = value else {
        return Err("the metadata's close is no list");
    };
    let [Value::Int(code), Value::Str(reason)] = items.as_slice() else {
        return Err("the metadata's close is not a code and a reason");
    };
    let code = u16::try_from(*code).ok().map(CloseCode);
    code.and_then(|code| Close::new(code, reason.clone()).ok())
        .ok_or("the metadata's close has an illegal code or reason")
}
