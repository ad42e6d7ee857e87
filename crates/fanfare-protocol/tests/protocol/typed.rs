//! Events from and into an application's own types.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use bytes::Bytes;
use bytestring::ByteString;
use fanfare_protocol::{Envelope, Event, Value};
use proptest::prelude::*;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::strategies;

/// Bytes that are bytes for serde too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Blob(pub(crate) Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Taken;

        impl Visitor<'_> for Taken {
            type Value = Blob;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(bytes.to_vec()))
            }
        }

        deserializer.deserialize_byte_buf(Taken)
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Chat {
    #[serde(rename = "chat.message")]
    Message {
        message: ByteString,
        from: Option<User>,
        blob: Blob,
        scores: Vec<f64>,
    },
    #[serde(rename = "chat.joined")]
    Joined(User),
    #[serde(rename = "chat.ended")]
    Ended,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct User {
    name: String,
    id: u64,
    address: IpAddr,
    mood: Mood,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Mood {
    Fine,
    Other(String),
    Pair(u8, i8),
    Mixed { joy: f32 },
}

fn user(mood: Mood) -> User {
    User {
        name: "gr\u{fc}n".to_owned(),
        id: u64::MAX,
        address: IpAddr::from([127, 0, 0, 1]),
        mood,
    }
}

/// Through the wire and back.
fn carried<T: Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
    let wire = Envelope::new(Event::of(value).expect("it is an event")).to_msgpack();
    let envelope = Envelope::from_msgpack(&wire).expect("the message is legal");
    envelope.event.to().expect("it has its shape")
}

#[test]
fn an_enum_tagged_by_type_goes_out_and_comes_back() {
    let moods = [
        Mood::Fine,
        Mood::Other("so".to_owned()),
        Mood::Pair(200, -1),
        Mood::Mixed { joy: 0.25 },
    ];
    for mood in moods {
        let message = Chat::Message {
            message: "hi".into(),
            from: Some(user(mood.clone())),
            blob: Blob(vec![0, 255]),
            scores: vec![1.0, 0.5],
        };
        assert_eq!(carried(&message), message);
        let joined = Chat::Joined(user(mood));
        assert_eq!(carried(&joined), joined);
    }
    let quiet = Chat::Message {
        message: "".into(),
        from: None,
        blob: Blob(vec![]),
        scores: vec![],
    };
    assert_eq!(carried(&quiet), quiet);
    assert_eq!(carried(&Chat::Ended), Chat::Ended);
}

#[test]
fn an_enum_is_written_as_serde_says() {
    let event = Event::of(&Chat::Message {
        message: "hi".into(),
        from: Some(user(Mood::Mixed { joy: 0.25 })),
        blob: Blob(b"\x00\xff".to_vec()),
        scores: vec![2.0],
    });
    let mood = Value::Map(vec![("joy".into(), Value::Float(0.25))]);
    let from = Value::Map(vec![
        ("name".into(), Value::from("gr\u{fc}n")),
        ("id".into(), Value::UInt(u64::MAX)),
        ("address".into(), Value::from("127.0.0.1")),
        ("mood".into(), Value::Map(vec![("Mixed".into(), mood)])),
    ]);
    let expected = Event::new("chat.message")
        .with("message", "hi")
        .with("from", from)
        .with("blob", Bytes::from_static(b"\x00\xff"))
        .with("scores", vec![Value::Float(2.0)]);
    assert_eq!(event, Ok(expected));
    assert_eq!(Event::of(&Chat::Ended), Ok(Event::new("chat.ended")));
}

#[test]
fn a_python_senders_numbers_and_missing_options_fit() {
    let event = Event::new("chat.message")
        .with("message", "hi")
        .with("blob", Bytes::new())
        .with("more", true)
        .with("scores", vec![Value::Int(3), Value::UInt(1 << 63)]);
    let expected = Chat::Message {
        message: "hi".into(),
        from: None,
        blob: Blob(vec![]),
        scores: vec![3.0, (1_u64 << 63) as f64],
    };
    assert_eq!(event.to(), Ok(expected));
}

#[test]
fn scalars_take_their_place_in_a_value() {
    let cases = [
        (Value::of(&None::<u8>), Value::Nil),
        (Value::of(&()), Value::Nil),
        (Value::of(&Some(false)), Value::Bool(false)),
        (Value::of(&'\u{fc}'), Value::from("\u{fc}")),
        (Value::of(&-1_i8), Value::Int(-1)),
        (Value::of(&7_u64), Value::Int(7)),
        (Value::of(&-7_i128), Value::Int(-7)),
        (Value::of(&i128::from(u64::MAX)), Value::UInt(u64::MAX)),
        (Value::of(&0.5_f32), Value::Float(0.5)),
        (Value::of("text"), Value::from("text")),
        (
            Value::of(&(1_u8, "a")),
            Value::List(vec![Value::Int(1), Value::from("a")]),
        ),
    ];
    for (written, expected) in cases {
        assert_eq!(written, Ok(expected));
    }
    assert_eq!(Value::Int(7).to(), Ok(7_u128));
    assert_eq!(Value::from("\u{fc}").to(), Ok('\u{fc}'));
    assert_eq!(Value::Nil.to(), Ok(None::<Mood>));
}

#[test]
fn nan_and_infinities_stay_floats() {
    #[derive(Serialize, Deserialize)]
    struct Reading {
        r#type: String,
        values: [f64; 2],
    }
    let reading = Reading {
        r#type: "reading".to_owned(),
        values: [f64::NAN, f64::NEG_INFINITY],
    };
    let [nan, infinity] = carried(&reading).values;
    assert!(nan.is_nan());
    assert_eq!(infinity, f64::NEG_INFINITY);
}

#[test]
fn keys_are_spelled_as_json_spells_them_and_read_back() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Keys {
        r#type: String,
        numbers: BTreeMap<i64, u8>,
        huge: HashMap<u64, ()>,
        flags: BTreeMap<bool, u8>,
        words: BTreeMap<Word, u8>,
        chars: BTreeMap<char, u8>,
    }
    #[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    enum Word {
        Yes,
    }
    let keys = Keys {
        r#type: "keys".to_owned(),
        numbers: BTreeMap::from([(-1, 1), (20, 2)]),
        huge: HashMap::from([(u64::MAX, ())]),
        flags: BTreeMap::from([(true, 1)]),
        words: BTreeMap::from([(Word::Yes, 1)]),
        chars: BTreeMap::from([('x', 1)]),
    };
    let event = Event::of(&keys).expect("it is an event");
    let numbers = vec![("-1".into(), Value::Int(1)), ("20".into(), Value::Int(2))];
    assert_eq!(event.get("numbers"), Some(&Value::Map(numbers)));
    assert_eq!(carried(&keys), keys);
}

#[test]
fn one_event_is_made_of_a_flattened_one() {
    #[derive(Serialize)]
    struct Stamped<'a> {
        #[serde(flatten)]
        event: &'a Event,
        at: u32,
    }
    let event = Event::new("t").with("blob", Bytes::from_static(b"\xff"));
    let stamped = Event::of(&Stamped {
        event: &event,
        at: 5,
    });
    assert_eq!(stamped, Ok(event.with("at", 5_i64)));
}

proptest! {
    #[test]
    fn an_event_is_itself_with_its_bytes(event in strategies::event(true)) {
        prop_assert_eq!(&Event::of(&event).unwrap(), &event);
        prop_assert_eq!(&event.to::<Event>().unwrap(), &event);
        let value = Value::Map(event.fields().to_vec());
        prop_assert_eq!(&Value::of(&value).unwrap(), &value);
        prop_assert_eq!(&value.to::<Value>().unwrap(), &value);
    }

    #[test]
    fn json_goes_through_an_event_unchanged(event in strategies::event(false)) {
        let json = serde_json::to_value(&event).unwrap();
        let written = Event::of(&json).unwrap();
        prop_assert_eq!(written.event_type(), event.event_type());
        prop_assert_eq!(written.to::<serde_json::Value>().unwrap(), json);
    }
}
