//! Messages of both backends as channels_redis 4.3 writes and reads them.

use std::time::Duration;

use bytes::Bytes;
use fanfare_protocol::event::EventError;
use fanfare_protocol::msgpack::DecodeError;
use fanfare_protocol::serializer::{Addressed, Notation, Recipients, SerializeError};
use fanfare_protocol::{CloseCode, Envelope, Event, Naming, Serializer, Value};
use proptest::prelude::*;

use crate::strategies;

const EXPIRY: Duration = Duration::from_secs(60);
const NAME: &str = "specific.d155747d4b534007a11e1665da5dfbb8!3d164318943d4ff485cfd7e2f7d3141e";
const BOTH: [Notation; 2] = [Notation::Msgpack, Notation::Json];

pub(crate) fn pubsub(notation: Notation) -> Serializer {
    Serializer::pubsub(notation, &[])
}

pub(crate) fn core(notation: Notation, prefix: usize) -> Serializer {
    Serializer::core(notation, &[], prefix, EXPIRY)
}

pub(crate) fn written(
    serializer: &Serializer,
    envelope: &Envelope,
    to: Recipients<'_>,
) -> Result<Bytes, SerializeError> {
    serializer.finish(&serializer.draft(envelope)?, to, true)
}

fn receive() -> Envelope {
    Event::new("receive").with("x", 1_i64).into()
}

/// An event that some channel must not get.
fn excluding() -> Envelope {
    let channel = Naming::plain("asgi").channel("specific.a!b");
    let channel = channel.expect("the name is legal");
    Envelope::excluding(Event::new("t"), vec![channel])
}

/// Writes behind a prefix, checks the length of that and cuts it off.
#[track_caller]
fn behind_prefix(notation: Notation, envelope: &Envelope, to: Recipients<'_>) -> Bytes {
    let write = || {
        let wire = written(&core(notation, 12), envelope, to);
        let mut wire = wire.expect("the event has a notation");
        (wire.split_to(12), wire)
    };
    let ((prefix, wire), (other, same)) = (write(), write());
    assert_ne!(prefix, other, "the prefix is random");
    assert_eq!(wire, same);
    wire
}

#[test]
fn a_message_of_the_core_layer_ends_with_the_names_of_its_receivers() {
    let cases: [(Recipients<'_>, &[u8]); 3] = [
        (
            Recipients::Many(&[NAME]),
            b"\x83\xa4type\xa7receive\xa1x\x01\xb0__asgi_channel__\x91\xd9\x4a",
        ),
        (
            Recipients::One(NAME),
            b"\x83\xa4type\xa7receive\xa1x\x01\xb0__asgi_channel__\xd9\x4a",
        ),
        (Recipients::None, b"\x82\xa4type\xa7receive\xa1x\x01"),
    ];
    for (to, start) in cases {
        let name = match to {
            Recipients::None => "",
            _ => NAME,
        };
        let expected = [start, name.as_bytes()].concat();
        assert_eq!(behind_prefix(Notation::Msgpack, &receive(), to), expected);
    }
    let cases = [
        (
            Recipients::Many(&[NAME, "b"]),
            format!(", \"__asgi_channel__\": [\"{NAME}\", \"b\"]"),
        ),
        (
            Recipients::Many(&[]),
            ", \"__asgi_channel__\": []".to_owned(),
        ),
        (
            Recipients::One(NAME),
            format!(", \"__asgi_channel__\": \"{NAME}\""),
        ),
        (Recipients::None, String::new()),
    ];
    for (to, end) in cases {
        let expected = format!("{{\"type\": \"receive\", \"x\": 1{end}}}");
        assert_eq!(behind_prefix(Notation::Json, &receive(), to), expected);
    }
}

#[test]
fn the_captured_message_of_python_is_read() {
    let mut wire = b"\xc2\x09\x4c\xac\x62\x9f\x6f\xbe\xd8\x2c\x07\xcd\x83\xa4type\xa7receive\xa1x\x01\xb0__asgi_channel__\x91\xd9\x4a".to_vec();
    wire.extend(NAME.as_bytes());
    assert_eq!(wire.len(), 123);
    let received = core(Notation::Msgpack, 12).read(&wire.into()).unwrap();
    assert_eq!(received.envelope, receive());
    assert_eq!(received.to, Addressed::Many(vec![NAME.into()]));
}

#[test]
fn a_message_of_the_pubsub_layer_names_nobody() {
    for notation in BOTH {
        let plain = written(&pubsub(notation), &receive(), Recipients::None).unwrap();
        let named = written(&pubsub(notation), &receive(), Recipients::One(NAME)).unwrap();
        assert_eq!(plain, named);
        // There the key is a field like any other.
        let event = Event::new("t").with("__asgi_channel__", 1_i64);
        let wire = written(&pubsub(notation), &event.clone().into(), Recipients::None).unwrap();
        let received = pubsub(notation).read(&wire).unwrap();
        assert_eq!(received.envelope, Envelope::new(event));
        assert_eq!(received.to, Addressed::Nobody);
    }
    let wire = written(&pubsub(Notation::Msgpack), &excluding(), Recipients::None).unwrap();
    assert_eq!(wire, excluding().to_msgpack());
}

#[test]
fn metadata_goes_to_nodes_only_and_in_front_of_the_names() {
    for (notation, expected) in [
        (
            Notation::Msgpack,
            &b"\x83\xa4type\xa1t\xd9\x0b__fanfare__\x81\xa7exclude\x91\xacspecific.a!b\xb0__asgi_channel__\xa1c"[..],
        ),
        (
            Notation::Json,
            br#" {"__fanfare__": {"exclude": ["specific.a!b"]}, "type": "t", "__asgi_channel__": "c"}"#,
        ),
    ] {
        let serializer = core(notation, 0);
        let draft = serializer.draft(&excluding()).unwrap();
        let to = Recipients::One("c");
        assert_eq!(serializer.finish(&draft, to, true).unwrap(), expected);
        let bare = serializer.finish(&draft, to, false).unwrap();
        assert_eq!(
            serializer.read(&bare).unwrap().envelope,
            Envelope::new(Event::new("t"))
        );
        let draft = pubsub(notation).draft(&excluding()).unwrap();
        let bare = pubsub(notation).finish(&draft, Recipients::None, false);
        assert_eq!(
            pubsub(notation).read(&bare.unwrap()).unwrap().envelope,
            Envelope::new(Event::new("t"))
        );
    }
    let mut both = excluding();
    both.close = Envelope::closing(CloseCode::POLICY, "bye").unwrap().close;
    let wire = written(&pubsub(Notation::Json), &both, Recipients::None).unwrap();
    let expected =
        r#" {"__fanfare__": {"exclude": ["specific.a!b"], "close": [1008, "bye"]}, "type": "t"}"#;
    assert_eq!(wire, expected);
    assert_eq!(pubsub(Notation::Json).read(&wire).unwrap().envelope, both);
}

#[test]
fn an_application_cannot_forge_the_names_of_the_core_layer() {
    let forged = Event::new("t").with("__asgi_channel__", "x");
    for notation in BOTH {
        for to in [Recipients::None, Recipients::One("c")] {
            let serializer = core(notation, 0);
            let wire = written(&serializer, &forged.clone().into(), to).unwrap();
            let honest = written(&serializer, &Event::new("t").into(), to).unwrap();
            assert_eq!(wire, honest);
        }
    }
}

#[test]
fn a_text_key_named_like_the_metadata_is_a_field() {
    let order = Value::Map(vec![(
        "close".into(),
        Value::List(vec![4000_i64.into(), "".into()]),
    )]);
    let field = Event::new("t").with("__fanfare__", order);
    let mut both = excluding();
    both.event = field.clone();
    for notation in BOTH {
        for envelope in [Envelope::new(field.clone()), both.clone()] {
            for serializer in [pubsub(notation), core(notation, 12)] {
                let wire = written(&serializer, &envelope, Recipients::None).unwrap();
                assert_eq!(serializer.read(&wire).unwrap().envelope, envelope);
            }
        }
    }
    // As `json.dumps` writes it; the space is what makes it metadata.
    let dumped = br#"{"__fanfare__": {"exclude": ["specific.a!b"]}, "type": "t"}"#;
    let marked = [b" ", &dumped[..]].concat();
    let read = |wire: &[u8]| pubsub(Notation::Json).read(&Bytes::copy_from_slice(wire));
    assert_eq!(read(dumped).unwrap().envelope.exclude, []);
    assert_eq!(read(&marked).unwrap().envelope, excluding());
}

#[test]
fn what_names_nobody_that_can_be_understood_is_refused() {
    let cases = [
        (&b"\xc4\x01c"[..], "bytes"),
        (b"\x80", "a map"),
        (b"\xc0", "nil"),
        (b"\x07", "an integer"),
        (b"\x92\xa1c\xc4\x01c", "a list of anything else"),
    ];
    for (value, found) in cases {
        let wire = [b"\x82\xa4type\xa1t\xb0__asgi_channel__", value].concat();
        let error = core(Notation::Msgpack, 0).read(&wire.into()).unwrap_err();
        assert_eq!(error, DecodeError::Recipients { found });
        assert!(error.to_string().ends_with(&format!("not {found}")));
    }
}

#[test]
fn a_message_shorter_than_its_prefix_is_refused() {
    for notation in BOTH {
        let error = core(notation, 12).read(&Bytes::from_static(b"12345678901"));
        let expected = DecodeError::TooShort {
            bytes: 11,
            prefix: 12,
        };
        assert_eq!(error, Err(expected));
        let error = core(notation, 12).read(&Bytes::from_static(b"123456789012"));
        let error = error.unwrap_err().to_string();
        assert!(
            error.ends_with("at byte 0: the message is cut short"),
            "{error}"
        );
    }
}

#[test]
fn texts_without_escapes_point_into_the_message() {
    for notation in BOTH {
        let event = Event::new("t").with("v", "x".repeat(100));
        let serializer = core(notation, 12);
        let wire = written(&serializer, &event.into(), Recipients::One(NAME)).unwrap();
        let received = serializer.read(&wire).unwrap();
        let (Some(Value::Str(text)), Addressed::One(name)) =
            (received.envelope.event.get("v"), &received.to)
        else {
            panic!("a text and a name were sent")
        };
        assert!(wire.as_ptr_range().contains(&text.as_ptr()));
        assert!(wire.as_ptr_range().contains(&name.as_ptr()));
    }
}

#[test]
fn a_draft_is_about_as_long_as_its_messages() {
    for notation in BOTH {
        let serializer = pubsub(notation);
        let draft = serializer.draft(&receive()).unwrap();
        let wire = serializer.finish(&draft, Recipients::None, true).unwrap();
        assert_eq!(draft.len(), wire.len());
        assert!(!draft.is_empty());
    }
}

fn message() -> impl Strategy<Value = (Notation, Event)> {
    prop_oneof![
        (Just(Notation::Msgpack), strategies::event(true)),
        (Just(Notation::Json), strategies::event(false)),
    ]
}

/// What a message is for.
#[derive(Debug, Clone)]
enum Shape {
    PubSub,
    Core {
        prefix: usize,
        names: Option<Vec<String>>,
    },
}

fn shape() -> impl Strategy<Value = Shape> {
    let names = proptest::option::of(proptest::collection::vec("\\PC{0,80}", 0..40));
    let prefix = prop_oneof![Just(0_usize), Just(8), Just(12)];
    prop_oneof![
        Just(Shape::PubSub),
        (prefix, names).prop_map(|(prefix, names)| Shape::Core { prefix, names }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn events_survive_every_serializer(
        (notation, event) in message(),
        shape in shape(),
        keys in proptest::collection::vec(".{0,8}", 0..3),
    ) {
        let (serializer, names) = match shape {
            Shape::PubSub => (Serializer::pubsub(notation, &keys), None),
            Shape::Core { prefix, names } => {
                (Serializer::core(notation, &keys, prefix, EXPIRY), names)
            }
        };
        let borrowed: Vec<_> = names.iter().flatten().map(String::as_str).collect();
        let (to, read_to) = match (&names, &*borrowed) {
            (None, _) => (Recipients::None, Addressed::Nobody),
            (Some(_), [name]) => (Recipients::One(name), Addressed::One((*name).into())),
            (Some(_), names) => {
                let read = names.iter().map(|name| (*name).into()).collect();
                (Recipients::Many(names), Addressed::Many(read))
            }
        };
        let envelope = Envelope::new(event);
        match written(&serializer, &envelope, to) {
            Ok(wire) => {
                let received = serializer.read(&wire).unwrap();
                prop_assert_eq!(received.envelope, envelope);
                prop_assert_eq!(received.to, read_to);
            }
            // Random floats are NaN or infinite now and then.
            Err(error) => {
                let not_finite = matches!(error, SerializeError::NotFinite { .. });
                prop_assert!(not_finite && notation == Notation::Json);
            }
        }
    }
}

#[test]
fn any_bytes_are_refused_or_read_again_as_the_same() {
    bolero::check!()
        .with_iterations(5_000)
        .with_type::<(bool, Vec<u8>)>()
        .for_each(|(is_json, bytes)| {
            let notation = BOTH[usize::from(*is_json)];
            let serializer = core(notation, 0);
            // A map more often than chance would give one.
            let map = match notation {
                Notation::Msgpack => [b"\x82\xa4type\xa1t\xa1v", &bytes[..]].concat(),
                Notation::Json => [b"{\"type\":\"t\",\"v\":", &bytes[..], b"}"].concat(),
            };
            for wire in [bytes.clone(), map] {
                let Ok(received) = serializer.read(&wire.into()) else {
                    continue;
                };
                let names: Vec<_> = match &received.to {
                    Addressed::Many(names) => names.iter().map(|name| &**name).collect(),
                    _ => Vec::new(),
                };
                let to = match &received.to {
                    Addressed::Nobody => Recipients::None,
                    Addressed::One(name) => Recipients::One(name),
                    Addressed::Many(_) => Recipients::Many(&names),
                };
                match written(&serializer, &received.envelope, to) {
                    Ok(again) => {
                        let read = serializer
                            .read(&again)
                            .expect("what was written can be read");
                        assert_eq!(written(&serializer, &read.envelope, to), Ok(again));
                        assert_eq!(read.to, received.to);
                    }
                    Err(error) => assert!(matches!(error, SerializeError::NotFinite { .. })),
                }
            }
        });
}

#[test]
fn faults_of_both_notations_are_told_apart() {
    let fault = |notation, wire: &'static [u8]| {
        let error = core(notation, 0).read(&Bytes::from_static(wire));
        error.unwrap_err()
    };
    let reason = "the metadata is no map";
    assert_eq!(
        fault(Notation::Msgpack, b"\x81\xd9\x0b__fanfare__\x01"),
        DecodeError::Malformed { at: 14, reason }
    );
    assert_eq!(
        fault(Notation::Json, br#" {"__fanfare__": 1}"#),
        DecodeError::Json { at: 17, reason }
    );
    for (notation, wire) in [(Notation::Msgpack, &b"\x80"[..]), (Notation::Json, b"{}")] {
        assert_eq!(fault(notation, wire), EventError::NoType.into());
    }
    let wire = br#"{"type": "t", "__asgi_channel__": {}}"#;
    let found = "a map";
    assert_eq!(
        fault(Notation::Json, wire),
        DecodeError::Recipients { found }
    );
}
