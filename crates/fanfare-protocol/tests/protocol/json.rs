//! JSON in and out.

use bytes::{Bytes, BytesMut};
use fanfare_protocol::event::{EventError, MAX_DEPTH};
use fanfare_protocol::json::{self, ParseError};
use fanfare_protocol::{Envelope, Event, Value};
use proptest::prelude::*;

use crate::strategies;

fn text(value: &Value) -> String {
    let mut out = BytesMut::new();
    json::write_value(value, &mut out);
    String::from_utf8(out.to_vec()).expect("JSON is UTF-8")
}

fn syntax(input: &[u8]) -> (String, usize, usize) {
    match json::parse_event(input) {
        Err(ParseError::Syntax {
            message,
            line,
            column,
        }) => (message, line, column),
        other => panic!("a syntax error was expected, not {other:?}"),
    }
}

#[test]
fn an_event_is_read_in_its_order_and_the_last_duplicate_wins() {
    let event = json::parse_event(br#"{"b":1,"type":"t","a":[null,true],"b":2.0}"#).unwrap();
    assert_eq!(event.event_type(), "t");
    let fields: Vec<_> = event
        .fields()
        .iter()
        .map(|(key, value)| (&**key, value.clone()))
        .collect();
    let list = Value::List(vec![Value::Nil, Value::Bool(true)]);
    assert_eq!(
        fields,
        [("b", Value::Float(2.0)), ("type", "t".into()), ("a", list)]
    );
}

#[test]
fn duplicates_are_found_among_many_keys_too() {
    let keys: Vec<_> = (0..40).map(|key| format!("\"k{key}\":{key}")).collect();
    let text = format!("{{{},\"k0\":-1,\"k39\":-2}}", keys.join(","));
    let Value::Map(entries) = json::parse_value(text.as_bytes()).unwrap() else {
        panic!("an object was given")
    };
    assert_eq!(entries.len(), 40);
    assert_eq!(entries[0], ("k0".into(), Value::Int(-1)));
    assert_eq!(entries[20], ("k20".into(), Value::Int(20)));
    assert_eq!(entries[39], ("k39".into(), Value::Int(-2)));
}

#[test]
fn numbers_keep_64_bits() {
    let numbers = json::parse_value(
        b"[-9223372036854775808,9223372036854775807,18446744073709551615,18446744073709551616,-0]",
    );
    let expected = [
        Value::Int(i64::MIN),
        Value::Int(i64::MAX),
        Value::UInt(u64::MAX),
        Value::Float(18_446_744_073_709_551_616.0),
        Value::Float(-0.0),
    ];
    assert_eq!(numbers.unwrap(), Value::List(expected.into()));
}

#[test]
fn faults_have_a_position_and_a_message_without_it() {
    let fault = syntax(b"{\"type\":\"t\",\n  \"x\":}");
    assert_eq!(fault, ("expected value".into(), 2, 7));
    assert_eq!(syntax(b""), ("EOF while parsing a value".into(), 1, 0));
    assert_eq!(syntax(b"{} {}"), ("trailing characters".into(), 1, 4));
    assert_eq!(syntax(b"{\"type\":NaN}").1, 1);
    assert_eq!(syntax(b"\"\xff\"").0, "invalid unicode code point");
}

#[test]
fn what_is_no_event_is_named() {
    let cases = [
        ("[1]", "an array"),
        ("\"x\"", "a string"),
        ("1.5", "a number"),
        ("true", "a boolean"),
        ("null", "null"),
    ];
    for (input, found) in cases {
        let message = json::parse_event(input.as_bytes()).unwrap_err().to_string();
        assert_eq!(
            message,
            format!("the event must be a JSON object, not {found}")
        );
    }
    let no_type = json::parse_event(b"{}").unwrap_err();
    assert!(matches!(no_type, ParseError::Event(EventError::NoType)));
    let number = json::parse_event(br#"{"type":1}"#).unwrap_err();
    assert!(matches!(
        number,
        ParseError::Event(EventError::TypeNotString)
    ));
}

#[test]
fn nesting_has_the_bound_that_msgpack_has() {
    let nested = |lists: usize| {
        format!(
            "{{\"type\":\"t\",\"v\":{}{}}}",
            "[".repeat(lists),
            "]".repeat(lists)
        )
    };
    let event = json::parse_event(nested(MAX_DEPTH - 1).as_bytes()).unwrap();
    let wire = Envelope::new(event).to_msgpack();
    assert!(Envelope::from_msgpack(&wire).is_ok());
    let (message, ..) = syntax(nested(MAX_DEPTH).as_bytes());
    assert_eq!(message, "arrays and objects are nested more than 64 deep");
}

#[test]
fn an_event_is_written_with_its_type_and_its_keys_in_order() {
    let event = Event::new("t")
        .with("text", "naïve \"☃\"\n")
        .with("bytes", Bytes::from_static(b"\xff\x00"))
        .with("nan", f64::NAN)
        .with("inf", f64::NEG_INFINITY)
        .with("float", 1.0)
        .with("big", u64::MAX)
        .with("nested", Value::Map(vec![("type".into(), Value::Nil)]));
    let mut out = BytesMut::from(&b"before"[..]);
    json::write_event(&event, &mut out);
    let expected = r#"before{"type":"t","text":"naïve \"☃\"\n","bytes":"/wA=","nan":null,"inf":null,"float":1.0,"big":18446744073709551615,"nested":{"type":null}}"#;
    assert_eq!(std::str::from_utf8(&out).unwrap(), expected);
    out.clear();
    json::write_event(&Event::new("t"), &mut out);
    assert_eq!(out[..], br#"{"type":"t"}"#[..]);
    out.clear();
    let fields = vec![("a".into(), 1_i64.into()), ("type".into(), "t".into())];
    json::write_event(&Event::from_fields(fields).unwrap(), &mut out);
    assert_eq!(out[..], br#"{"a":1,"type":"t"}"#[..]);
}

#[test]
fn events_and_values_go_through_serde() {
    let event: Event = serde_json::from_str(r#"{"type":"t","x":[1]}"#).unwrap();
    assert_eq!(
        serde_json::to_string(&event).unwrap(),
        r#"{"type":"t","x":[1]}"#
    );
    let refused = serde_json::from_str::<Event>("[]").unwrap_err();
    assert_eq!(refused.to_string(), "the event must be an object");
    assert_eq!(serde_json::from_str::<Value>("null").unwrap(), Value::Nil);
}

proptest! {
    #[test]
    fn values_survive_json(value in strategies::value(false)) {
        prop_assert_eq!(json::parse_value(text(&value).as_bytes()).unwrap(), value);
    }
}

#[test]
fn any_text_is_refused_with_a_position_or_read_again_as_the_same() {
    bolero::check!()
        .with_iterations(5_000)
        .with_type::<Vec<u8>>()
        .for_each(|bytes| {
            let map = [b"{\"type\":\"t\",\"v\":", &bytes[..], b"}"].concat();
            for input in [&bytes[..], &map] {
                match json::parse_value(input) {
                    Ok(value) => {
                        let again = json::parse_value(text(&value).as_bytes());
                        assert_eq!(again.expect("what was written can be read"), value);
                    }
                    Err(ParseError::Syntax { line, message, .. }) => {
                        assert!(line >= 1 && !message.contains(" at line "));
                    }
                    Err(other) => panic!("only syntax can be wrong in a value: {other}"),
                }
            }
        });
}
