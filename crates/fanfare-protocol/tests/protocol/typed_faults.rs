//! What is no event, and events that are no value of an application.

use std::collections::BTreeMap;

use bytes::Bytes;
use fanfare_protocol::event::{EventError, MAX_DEPTH};
use fanfare_protocol::{Event, TypedError, Value};
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "type")]
enum Chat {
    #[serde(rename = "chat.message")]
    Message { message: String, mood: Option<Mood> },
}

#[derive(Debug, PartialEq, Deserialize)]
enum Mood {
    Fine,
    Other(String),
}

#[derive(Debug, PartialEq, Deserialize)]
struct Rooms {
    rooms: Vec<Room>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Room {
    size: u8,
    place: (u8, u8),
    mood: Mood,
}

fn chat(event: serde_json::Value) -> TypedError {
    let event = Event::of(&event).expect("it is an event");
    event.to::<Chat>().expect_err("it is no chat")
}

fn room(size: serde_json::Value, place: serde_json::Value, mood: serde_json::Value) -> TypedError {
    let good = json!({ "size": 1, "place": [1, 2], "mood": "Fine" });
    let bad = json!({ "size": size, "place": place, "mood": mood });
    let event = Event::of(&json!({ "type": "t", "rooms": [good, bad] })).expect("it is an event");
    event.to::<Rooms>().expect_err("it is no room")
}

#[test]
fn what_is_no_map_with_a_string_type_is_no_event() {
    assert_eq!(Event::of(&json!({ "x": 1 })), Err(EventError::NoType));
    assert_eq!(
        Event::of(&json!({ "type": 1 })),
        Err(EventError::TypeNotString)
    );
    let found = |value| Event::of(&value).expect_err("it is no event").to_string();
    let cases = [
        (json!([]), "a list"),
        (json!("type"), "a string"),
        (json!(1), "an integer"),
        (json!(1.5), "a float"),
        (json!(true), "a boolean"),
        (json!(null), "nil"),
    ];
    for (value, name) in cases {
        assert_eq!(found(value), format!("the event is no map but {name}"));
    }
}

#[test]
fn a_type_that_is_not_known_is_told_from_fields_that_do_not_fit() {
    let unknown = chat(json!({ "type": "chat.left", "message": 1 }));
    assert!(unknown.is_unknown_type());
    assert_eq!(
        unknown.to_string(),
        "type: unknown variant `chat.left`, known: `chat.message`"
    );
    let fields = [
        json!({ "type": "chat.message" }),
        json!({ "type": "chat.message", "message": 1 }),
        json!({ "type": "chat.message", "message": "", "mood": "Sad" }),
        json!({ "type": "chat.message", "message": "", "mood": { "type": 1 } }),
    ];
    for event in fields {
        let error = chat(event);
        assert!(!error.is_unknown_type(), "{error}");
    }
    // Not even a variant that is not known under a nested key of that name.
    let event = json!({ "type": "t", "rooms": [{ "type": "Sad" }] });
    let nested = Event::of(&event).unwrap().to::<BTreeMap<String, Chat>>();
    assert!(!nested.unwrap_err().is_unknown_type());
}

#[test]
fn errors_name_the_place_but_not_the_value() {
    let fine = || (json!([1, 2]), json!("Fine"));
    let (place, mood) = fine();
    let error = room(json!(300), place, mood);
    assert_eq!(error.path(), "rooms[1].size");
    assert_eq!(error.message(), "invalid value: an integer, expected u8");
    let (place, mood) = fine();
    let error = room(json!("secret"), place, mood).to_string();
    assert_eq!(error, "rooms[1].size: invalid type: a string, expected u8");
    let error = chat(json!({ "type": "chat.message" }));
    assert_eq!(error.to_string(), "missing field `message`");
    let error = chat(json!({ "type": "chat.message", "message": 5 })).to_string();
    assert_eq!(error, "invalid type: an integer, expected a string");
}

#[test]
fn lists_of_another_length_and_maps_that_are_no_variant_are_refused() {
    let error = room(json!(1), json!([1, 2, 3]), json!("Fine")).to_string();
    assert_eq!(
        error,
        "rooms[1].place: invalid length 3, expected a shorter list"
    );
    let error = room(json!(1), json!([1]), json!("Fine"));
    assert_eq!(error.path(), "rooms[1].place");
    let error = room(json!(1), json!([1, 2]), json!({ "Other": "a", "Fine": 1 })).to_string();
    assert_eq!(error, "rooms[1].mood: a variant is a map with one key");
    let error = room(json!(1), json!([1, 2]), json!({ "Other": 1 }));
    assert_eq!(error.path(), "rooms[1].mood.Other");
    let error = room(json!(1), json!([1, 2]), json!("Other"));
    assert_eq!(error.path(), "rooms[1].mood");
    let error = room(json!(1), json!([1, 2]), json!(5)).to_string();
    assert!(error.contains("an integer, expected enum Mood"), "{error}");
}

#[test]
fn keys_that_are_no_numbers_do_not_become_any() {
    let event = Event::of(&json!({ "type": "t" })).unwrap();
    let error = event.to::<BTreeMap<u8, String>>().unwrap_err();
    assert_eq!(error.message(), "invalid type: a string, expected u8");
    let large = Value::of(&json!({ "256": 1 })).unwrap();
    assert!(large.to::<BTreeMap<u8, u8>>().is_err());
    assert_eq!(large.to(), Ok(BTreeMap::from([(256_u16, 1_u8)])));
}

#[test]
fn what_an_event_cannot_carry_is_refused_with_its_place() {
    #[derive(Serialize)]
    struct Big {
        r#type: &'static str,
        sums: Vec<i128>,
    }
    let sums = vec![0, i128::from(u64::MAX) + 1];
    let Err(EventError::Value(error)) = Event::of(&Big { r#type: "t", sums }) else {
        panic!("the integer is too big");
    };
    assert_eq!(
        error.to_string(),
        "sums[1]: an integer has more than 64 bits"
    );
    assert!(Value::of(&u128::MAX).is_err());
    assert!(Value::of(&(i128::from(i64::MIN) - 1)).is_err());
    let lists = BTreeMap::from([(vec![1], 1)]);
    assert_eq!(
        Value::of(&lists).unwrap_err().message(),
        "a key is a list or a map"
    );
    let bytes = BTreeMap::from([(crate::typed::Blob(vec![1]), 1)]);
    assert_eq!(Value::of(&bytes).unwrap_err().message(), "a key is bytes");
}

#[test]
fn what_is_written_can_be_read_however_deep_it_is() {
    let nested = |depth| (1..depth).fold(Value::List(vec![]), |inner, _| Value::List(vec![inner]));
    let deepest = Value::of(&nested(MAX_DEPTH)).expect("this deep is legal");
    assert_eq!(deepest.to(), Ok(deepest.clone()));
    let error = Value::of(&nested(MAX_DEPTH + 1)).unwrap_err();
    assert!(error.to_string().contains("nested more than 64 deep"));
    assert!(error.to_string().contains(&MAX_DEPTH.to_string()));
    // The event itself is one of them.
    let event = |depth| Event::new("t").with("v", nested(depth));
    assert!(Event::of(&event(MAX_DEPTH - 1)).is_ok());
    assert!(Event::of(&event(MAX_DEPTH)).is_err());
    // A variant is a map of its own.
    let variant = |depth| Value::of(&Some(Ok::<_, ()>(nested(depth))));
    assert!(variant(MAX_DEPTH - 1).is_ok());
    assert!(variant(MAX_DEPTH).is_err());
}

#[test]
fn bytes_are_not_text() {
    let event = Event::new("chat.message").with("message", Bytes::from_static(b"\xff"));
    let error = event.to::<Chat>().unwrap_err().to_string();
    assert_eq!(error, "invalid value: bytes, expected a string");
}
