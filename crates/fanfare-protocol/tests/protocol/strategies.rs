//! Random values and events.

use bytes::Bytes;
use bytestring::ByteString;
use fanfare_protocol::{Event, Value};
use proptest::prelude::*;

fn entries(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Vec<(ByteString, Value)>> {
    // Enough keys at times to pass the size from which they are indexed.
    proptest::collection::hash_map("[a-z]{1,6}|\\PC{0,3}", inner, 0..20).prop_map(|map| {
        map.into_iter()
            .map(|(key, value)| (ByteString::from(key), value))
            .collect()
    })
}

/// A value that both notations carry unchanged, but for bytes where `bytes` is set.
pub(crate) fn value(bytes: bool) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-200_i64..70_000).prop_map(Value::Int),
        (i64::MAX as u64 + 1..).prop_map(Value::UInt),
        any::<f64>().prop_map(Value::Float),
        any::<String>().prop_map(Value::from),
        proptest::collection::vec(any::<u8>(), 0..300).prop_map(move |data| {
            if bytes {
                Value::Bin(Bytes::from(data))
            } else {
                Value::from("text")
            }
        }),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::List),
            entries(inner).prop_map(Value::Map),
        ]
    })
}

pub(crate) fn event(bytes: bool) -> impl Strategy<Value = Event> {
    (
        entries(value(bytes)),
        any::<String>(),
        any::<prop::sample::Index>(),
    )
        .prop_map(|(mut fields, kind, place)| {
            fields.retain(|(key, _)| key != "type" && !key.starts_with("__"));
            let place = place.index(fields.len() + 1);
            fields.insert(place, (ByteString::from_static("type"), Value::from(kind)));
            Event::from_fields(fields).expect("the type is there")
        })
}
