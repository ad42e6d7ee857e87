//! msgpack as Python's `msgpack.packb` writes it.

use bytes::Bytes;
use fanfare_protocol::envelope::Envelope;
use fanfare_protocol::event::MAX_DEPTH;
use fanfare_protocol::{CloseCode, Event, Naming, Value};
use proptest::prelude::*;

use crate::strategies;

fn packed(event: Event) -> Bytes {
    Envelope::new(event).to_msgpack()
}

fn unpacked(wire: &[u8]) -> Envelope {
    Envelope::from_msgpack(&Bytes::copy_from_slice(wire)).expect("the message is legal")
}

/// `{"type": "t", "v": <value>}` around an encoded value.
fn with_value(value: &[u8]) -> Vec<u8> {
    [b"\x82\xa4type\xa1t\xa1v", value].concat()
}

fn value_of(value: &[u8]) -> Value {
    unpacked(&with_value(value))
        .event
        .get("v")
        .expect("there is a v")
        .clone()
}

#[test]
fn the_captured_messages_of_channels_redis_are_written_and_read() {
    let receive = b"\x82\xa4type\xa7receive\xa1x\x01";
    let event = Event::new("receive").with("x", 1_i64);
    assert_eq!(packed(event.clone())[..], receive[..]);
    assert_eq!(unpacked(receive), Envelope::new(event));
    let chat = b"\x82\xa4type\xacchat.message\xa4text\xa2hi";
    let event = Event::new("chat.message").with("text", "hi");
    assert_eq!(packed(event.clone())[..], chat[..]);
    assert_eq!(unpacked(chat).event, event);
}

#[test]
fn integers_lengths_and_floats_take_pythons_forms() {
    let cases: [(Value, &[u8]); 15] = [
        (Value::Int(127), b"\x7f"),
        (Value::Int(128), b"\xcc\x80"),
        (Value::Int(256), b"\xcd\x01\x00"),
        (Value::Int(65_536), b"\xce\x00\x01\x00\x00"),
        (Value::Int(1 << 32), b"\xcf\x00\x00\x00\x01\x00\x00\x00\x00"),
        (
            Value::UInt(u64::MAX),
            b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
        ),
        (Value::Int(-32), b"\xe0"),
        (Value::Int(-33), b"\xd0\xdf"),
        (Value::Int(-129), b"\xd1\xff\x7f"),
        (Value::Int(-32_769), b"\xd2\xff\xff\x7f\xff"),
        (
            Value::Int(i64::MIN),
            b"\xd3\x80\x00\x00\x00\x00\x00\x00\x00",
        ),
        (Value::Float(1.5), b"\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00"),
        (Value::Bin(Bytes::from_static(b"hi")), b"\xc4\x02hi"),
        (
            Value::List(vec![Value::Nil, Value::Bool(true)]),
            b"\x92\xc0\xc3",
        ),
        (
            Value::Map(vec![("a".into(), Value::Bool(false))]),
            b"\x81\xa1a\xc2",
        ),
    ];
    for (value, wire) in cases {
        let event = Event::from_fields(vec![
            ("type".into(), "t".into()),
            ("v".into(), value.clone()),
        ]);
        assert_eq!(
            packed(event.unwrap())[..],
            with_value(wire)[..],
            "{value:?}"
        );
        assert_eq!(value_of(wire), value);
    }
    let long = packed(Event::new("t").with("v", "x".repeat(32)));
    assert_eq!(long[10..12], [0xd9, 32], "str8 from 32 bytes on");
}

#[test]
fn forms_that_are_read_but_never_written() {
    assert_eq!(value_of(b"\xca\x3f\xc0\x00\x00"), Value::Float(1.5));
    assert_eq!(
        value_of(b"\xd3\x00\x00\x00\x00\x00\x00\x00\x05"),
        Value::Int(5)
    );
    assert_eq!(value_of(b"\xda\x00\x02hi"), Value::from("hi"));
    assert_eq!(
        value_of(b"\xdd\x00\x00\x00\x01\x01"),
        Value::List(vec![Value::Int(1)])
    );
    assert_eq!(
        value_of(b"\xd5\x07ab"),
        Value::Bin(Bytes::from_static(b"ab"))
    );
    assert_eq!(
        value_of(b"\xc7\x03\x07abc"),
        Value::Bin(Bytes::from_static(b"abc"))
    );
}

#[test]
fn timestamps_are_seconds() {
    assert_eq!(value_of(b"\xd6\xff\x00\x00\x00\x0a"), Value::Int(10));
    // 500,000,000 ns in the upper 30 bits.
    let both = ((500_000_000_u64 << 34) | 10).to_be_bytes();
    assert_eq!(
        value_of(&[b"\xd7\xff", &both[..]].concat()),
        Value::Float(10.5)
    );
    let before = [b"\xc7\x0c\xff\x00\x00\x00\x00", &(-1_i64).to_be_bytes()[..]].concat();
    assert_eq!(value_of(&before), Value::Int(-1));
}

#[test]
fn keys_that_are_no_strings_get_their_json_spelling() {
    let map = b"\x86\x07\x01\xff\x02\xc3\x03\xc0\x04\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00\x05\xc4\x01k\x06";
    let Value::Map(entries) = value_of(map) else {
        panic!("a map was sent")
    };
    let keys: Vec<_> = entries.iter().map(|(key, _)| &**key).collect();
    assert_eq!(keys, ["7", "-1", "true", "null", "1.5", "k"]);
}

#[test]
fn the_last_of_duplicate_keys_wins_in_the_first_place() {
    let event = unpacked(b"\x84\xa1a\x01\xa4type\xa1t\xa1b\x02\xa1a\x03").event;
    let fields: Vec<_> = event
        .fields()
        .iter()
        .map(|(key, value)| (&**key, value.clone()))
        .collect();
    let expected = [
        ("a", Value::Int(3)),
        ("type", Value::from("t")),
        ("b", Value::Int(2)),
    ];
    assert_eq!(fields, expected);
}

#[test]
fn excluded_channels_travel_as_one_reserved_key_at_the_end() {
    let naming = Naming::plain("asgi");
    let mut envelope = Envelope::new(Event::new("t"));
    envelope.exclude = vec![naming.channel("specific.a!b").unwrap()];
    let wire = envelope.to_msgpack();
    let expected = b"\x82\xa4type\xa1t\xd9\x0b__fanfare__\x81\xa7exclude\x91\xacspecific.a!b";
    assert_eq!(wire[..], expected[..]);
    assert_eq!(Envelope::from_msgpack(&wire), Ok(envelope));
}

#[test]
fn an_order_to_close_travels_in_the_metadata() {
    let envelope = Envelope::closing(CloseCode::POLICY, "bye").expect("the close is legal");
    let kind = b"\x82\xa4type\xadfanfare.close\xd9\x0b__fanfare__";
    let close = b"\xa5close\x92\xcd\x03\xf0\xa3bye";
    let alone = [&kind[..], b"\x81", close].concat();
    assert_eq!(envelope.to_msgpack()[..], alone[..]);
    assert_eq!(unpacked(&alone), envelope);

    let both = [&kind[..], b"\x82\xa7exclude\x91\xacspecific.a!b", close].concat();
    let read = unpacked(&both);
    assert_eq!(read.exclude.len(), 1);
    assert_eq!(read.close, envelope.close);
    assert_eq!(read.to_msgpack()[..], both[..]);
}

#[test]
fn python_writes_metadata_under_a_key_of_bytes() {
    let wire = b"\x82\xa4type\xa1t\xc4\x0b__fanfare__\x81\xa7exclude\x91\xacspecific.a!b";
    let envelope = unpacked(wire);
    assert_eq!(envelope.exclude.len(), 1);
    assert_eq!(envelope.event, Event::new("t"));
}

#[test]
fn metadata_of_later_versions_is_stripped_and_not_minded() {
    let envelope = unpacked(b"\x82\xd9\x0b__fanfare__\x81\xa5trace\x01\xa4type\xa1t");
    assert_eq!(envelope, Envelope::new(Event::new("t")));
}

#[test]
fn a_text_key_named_like_the_metadata_is_a_field() {
    for value in [
        Value::from("x"),
        Value::Map(vec![(
            "close".into(),
            Value::List(vec![4000_i64.into(), "bye".into()]),
        )]),
    ] {
        let field = Event::new("t").with("__fanfare__", value);
        let wire = packed(field.clone());
        assert_eq!(wire[..9], b"\x82\xa4type\xa1t\xab"[..]);
        assert_eq!(unpacked(&wire), Envelope::new(field.clone()));
        let mut both = Envelope::closing(CloseCode::POLICY, "bye").expect("the close is legal");
        both.event = field;
        assert_eq!(unpacked(&both.to_msgpack()), both);
    }
}

#[test]
fn strings_and_bytes_point_into_the_message() {
    let wire = packed(Event::new("t").with("v", "x".repeat(100)));
    let envelope = Envelope::from_msgpack(&wire).unwrap();
    let Some(Value::Str(text)) = envelope.event.get("v") else {
        panic!("a text was sent")
    };
    assert!(wire.as_ptr_range().contains(&text.as_ptr()));
}

#[test]
fn the_deepest_legal_nesting_is_read() {
    let lists = MAX_DEPTH - 1;
    let wire = with_value(&[&vec![0x91; lists - 1][..], b"\x90"].concat());
    assert_eq!(packed(unpacked(&wire).event)[..], wire[..]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn events_survive_msgpack(event in strategies::event(true)) {
        let envelope = Envelope::new(event);
        let back = Envelope::from_msgpack(&envelope.to_msgpack());
        prop_assert_eq!(back, Ok(envelope));
    }

    #[test]
    fn every_prefix_of_a_message_is_cut_short(event in strategies::event(true), at in any::<prop::sample::Index>()) {
        let wire = packed(event);
        let cut = wire.slice(..at.index(wire.len()));
        let error = Envelope::from_msgpack(&cut).unwrap_err();
        let expected = format!("no msgpack at byte {}: the message is cut short", cut.len());
        prop_assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn any_bytes_are_refused_or_read_again_as_the_same() {
    bolero::check!()
        .with_iterations(5_000)
        .with_type::<Vec<u8>>()
        .for_each(|bytes| {
            // A map more often than chance would give one.
            for wire in [bytes.clone(), with_value(bytes)] {
                if let Ok(envelope) = Envelope::from_msgpack(&Bytes::from(wire)) {
                    let again = envelope.to_msgpack();
                    let read =
                        Envelope::from_msgpack(&again).expect("what was written can be read");
                    assert_eq!(read.to_msgpack(), again);
                }
            }
        });
}
