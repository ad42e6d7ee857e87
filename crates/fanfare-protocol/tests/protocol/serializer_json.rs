//! The layer's JSON against what Python's `json` module writes and reads.

use bytes::Bytes;
use fanfare_protocol::event::MAX_DEPTH;
use fanfare_protocol::msgpack::DecodeError;
use fanfare_protocol::serializer::{Notation, Recipients, SerializeError};
use fanfare_protocol::{Event, Value};
use proptest::prelude::*;

use crate::serializer::{pubsub, written};

fn dumped(event: Event) -> Result<Bytes, SerializeError> {
    written(&pubsub(Notation::Json), &event.into(), Recipients::None)
}

fn loaded(text: &str) -> Result<Event, DecodeError> {
    let text = Bytes::copy_from_slice(text.as_bytes());
    Ok(pubsub(Notation::Json).read(&text)?.envelope.event)
}

/// What `text` is as a value of an event.
fn value_of(text: &str) -> Result<Value, DecodeError> {
    let event = loaded(&format!("{{\"type\":\"t\",\"v\":{text}}}"))?;
    Ok(event.get("v").expect("there is a v").clone())
}

/// The spelling of a float by itself.
fn spelled(number: f64) -> String {
    let wire = dumped(Event::new("t").with("v", number)).expect("the number is finite");
    let text = std::str::from_utf8(&wire).expect("JSON is UTF-8");
    let value = text.strip_prefix(r#"{"type": "t", "v": "#);
    value
        .and_then(|it| it.strip_suffix('}'))
        .expect("the event has no other field")
        .to_owned()
}

#[test]
fn an_event_is_written_as_python_writes_it() {
    let map = |key: &str, value| Value::Map(vec![(key.into(), value)]);
    let inner = map("x", Value::List(vec![map("y", Value::Int(1))]));
    let event = Event::new("t")
        .with(
            "a",
            vec![
                Value::Int(1),
                Value::Int(-2),
                Value::UInt(u64::MAX),
                Value::Float(1.0),
                Value::Float(-0.0),
                Value::Bool(true),
                Value::Bool(false),
                Value::Nil,
                Value::List(Vec::new()),
                Value::Map(Vec::new()),
            ],
        )
        .with("s", "é☃😀\"\\/\n\r\t\u{8}\u{c}\0\u{1f}\u{7f} ~")
        .with("n", map("ké", inner));
    let expected = r#"{"type": "t", "a": [1, -2, 18446744073709551615, 1.0, -0.0, true, false, null, [], {}], "s": "\u00e9\u2603\ud83d\ude00\"\\/\n\r\t\b\f\u0000\u001f\u007f ~", "n": {"k\u00e9": {"x": [{"y": 1}]}}}"#;
    let wire = dumped(event.clone()).unwrap();
    assert_eq!(wire, expected);
    assert_eq!(loaded(expected), Ok(event));
}

#[test]
fn floats_are_spelled_as_python_does() {
    let cases = [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (-1.5, "-1.5"),
        (0.1, "0.1"),
        (1.0 / 3.0, "0.3333333333333333"),
        (100.0, "100.0"),
        (1e15, "1000000000000000.0"),
        (9_999_999_999_999_998.0, "9999999999999998.0"),
        (942_894_071_317_003.0 + 0.25, "942894071317003.2"),
        (942_894_071_317_003.0 + 0.75, "942894071317003.8"),
        (1e16, "1e+16"),
        (1.2345e16, "1.2345e+16"),
        (1e22, "1e+22"),
        (1e23, "1e+23"),
        (-1e300, "-1e+300"),
        (f64::MAX, "1.7976931348623157e+308"),
        (0.0001, "0.0001"),
        (0.000_123_45, "0.00012345"),
        (0.000_099_999_999_999_999_99, "9.999999999999999e-05"),
        (1e-5, "1e-05"),
        (-1.5e-7, "-1.5e-07"),
        (1e-10, "1e-10"),
        (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
        (5e-324, "5e-324"),
    ];
    for (number, expected) in cases {
        assert_eq!(spelled(number), expected);
    }
}

#[test]
fn what_json_cannot_say_is_refused_with_its_field() {
    let deep = |value| vec![Value::Map(vec![("k".into(), value)])];
    let refused = |value| dumped(Event::new("t").with("ok", 1.5).with("deep", deep(value)));
    let field = || "deep".to_owned();
    assert_eq!(
        refused(Value::Bin(Bytes::new())),
        Err(SerializeError::Bytes { field: field() })
    );
    let numbers = [
        (f64::NAN, "NaN"),
        (f64::INFINITY, "Infinity"),
        (f64::NEG_INFINITY, "-Infinity"),
    ];
    for (value, number) in numbers {
        let field = field();
        let error = refused(Value::Float(value)).unwrap_err();
        assert_eq!(error, SerializeError::NotFinite { field, number });
        let expected = format!(
            "the event's field \"deep\" holds {number}, which the JSON serializer has no notation for"
        );
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn what_only_python_writes_is_read() {
    assert!(matches!(value_of("NaN"), Ok(Value::Float(number)) if number.is_nan()));
    let cases = [
        ("Infinity", Value::Float(f64::INFINITY)),
        ("-Infinity", Value::Float(f64::NEG_INFINITY)),
        ("1e400", Value::Float(f64::INFINITY)),
        ("-1e400", Value::Float(f64::NEG_INFINITY)),
        ("-0", Value::Int(0)),
        ("-0.0", Value::Float(-0.0)),
        ("1E5", Value::Float(100_000.0)),
        ("1e+05", Value::Float(100_000.0)),
        ("25e-1", Value::Float(2.5)),
        ("18446744073709551615", Value::UInt(u64::MAX)),
        ("-9223372036854775808", Value::Int(i64::MIN)),
        ("\"\x7f é\"", "\x7f é".into()),
        (r#""\/\u00E9\ud83d\ude00\uD83D\uDE00""#, "/é😀😀".into()),
        (" [ ] ", Value::List(Vec::new())),
        ("\n{\t}\r", Value::Map(Vec::new())),
        (
            "[ 1 , null,true ]",
            vec![Value::Int(1), Value::Nil, Value::Bool(true)].into(),
        ),
    ];
    for (text, value) in cases {
        assert_eq!(value_of(text), Ok(value), "{text}");
    }
}

#[test]
fn half_a_surrogate_pair_is_replaced_and_the_rest_is_kept() {
    let cases = [
        (r#""\ud800x""#, "\u{fffd}x"),
        (r#""a\ude00\ud83d""#, "a\u{fffd}\u{fffd}"),
        (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
        (r#""\ud83d\n\u0041""#, "\u{fffd}\nA"),
    ];
    for (text, expected) in cases {
        assert_eq!(value_of(text), Ok(expected.into()), "{text}");
    }
}

#[test]
fn the_last_of_duplicate_keys_wins_in_the_first_place() {
    let event = loaded(r#" {"b":1, "type":"s", "a":{"x":1,"\u0078":2}, "b":2, "type":"t"} "#);
    let expected = Event::from_fields(vec![
        ("b".into(), Value::Int(2)),
        ("type".into(), "t".into()),
        ("a".into(), Value::Map(vec![("x".into(), Value::Int(2))])),
    ]);
    assert_eq!(event, Ok(expected.unwrap()));
}

#[test]
fn faults_name_their_byte() {
    let cases = [
        ("01", 17, "a comma or } is expected"),
        ("1.", 18, "a digit is expected"),
        ("1.5e+", 21, "a digit is expected"),
        ("-", 17, "a digit is expected"),
        ("+1", 16, "a value is expected"),
        (".5", 16, "a value is expected"),
        ("nan", 16, "a value is expected"),
        ("-NaN", 17, "a digit is expected"),
        ("\x0b1", 16, "a value is expected"),
        ("\"a\tb\"", 18, "a control character is not escaped"),
        (r#""a\x41""#, 18, "the escape is unknown"),
        (r#""\u12""#, 17, "four hexadecimal digits are expected"),
        (r#""\u+123""#, 17, "four hexadecimal digits are expected"),
        ("[1,]", 19, "a value is expected"),
        ("[1 2]", 19, "a comma or ] is expected"),
        ("{\"a\":1,}", 23, "a key is expected"),
        ("{1:1}", 17, "a key is expected"),
        ("{\"a\" 1}", 21, "a colon is expected"),
        ("\"a", 19, "the message is cut short"),
        (
            "18446744073709551616",
            16,
            "the integer does not fit 64 bits",
        ),
        (
            "-9223372036854775809",
            16,
            "the integer does not fit 64 bits",
        ),
    ];
    for (text, at, reason) in cases {
        assert_eq!(
            value_of(text),
            Err(DecodeError::Json { at, reason }),
            "{text}"
        );
    }
    let reason = "text follows the message";
    assert_eq!(loaded("{}x"), Err(DecodeError::Json { at: 2, reason }));
    for wire in [&b"{\"a\xff\":1}"[..], b"{\"\\n\xff\":1}"] {
        let error = pubsub(Notation::Json).read(&Bytes::from_static(wire));
        let at = wire.iter().position(|byte| *byte == 0xff).unwrap();
        let reason = "the string is not UTF-8";
        assert_eq!(error.unwrap_err(), DecodeError::Json { at, reason });
    }
}

#[test]
fn every_beginning_of_a_message_is_cut_short() {
    let text = r#" {"type": "t\n\ud83d\ude00é", "v": [-1.5e-7, true, {"k": "Infinity"}]}"#;
    assert!(loaded(text).is_ok());
    for at in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
        let error = loaded(&text[..at]).unwrap_err().to_string();
        let end = format!("no JSON at byte {at}: ");
        let is_fair = error == format!("{end}the message is cut short");
        // A word or an escape that is cut is unknown.
        let unknown = [
            "a value is expected",
            "four hexadecimal digits are expected",
        ];
        assert!(
            is_fair || unknown.iter().any(|reason| error.ends_with(reason)),
            "{error}"
        );
    }
}

#[test]
fn what_is_no_object_is_named() {
    let cases = [
        ("[1]", "a list"),
        ("\"x\"", "a string"),
        ("1.5", "a float"),
        ("-1", "an integer"),
        ("true", "a boolean"),
        ("null", "nil"),
    ];
    for (text, found) in cases {
        assert_eq!(loaded(text), Err(DecodeError::NotAMap { found }));
    }
}

#[test]
fn nesting_has_the_bound_that_msgpack_has() {
    let lists = |count: usize| format!("{}{}", "[".repeat(count), "]".repeat(count));
    let deepest = loaded(&format!(
        "{{\"type\":\"t\",\"v\":{}}}",
        lists(MAX_DEPTH - 1)
    ));
    let wire = written(
        &pubsub(Notation::Msgpack),
        &deepest.unwrap().into(),
        Recipients::None,
    );
    assert!(pubsub(Notation::Msgpack).read(&wire.unwrap()).is_ok());
    let at = 16 + MAX_DEPTH - 1;
    let reason = "lists and maps are nested more than 64 deep";
    for count in [MAX_DEPTH, 1 << 20] {
        assert_eq!(
            value_of(&lists(count)),
            Err(DecodeError::Json { at, reason })
        );
    }
    let maps = "{\"k\":".repeat(1 << 16);
    assert!(
        matches!(value_of(&maps), Err(DecodeError::Json { reason: found, .. }) if found == reason)
    );
}

proptest! {
    #[test]
    fn floats_survive_their_spelling(number in any::<f64>().prop_filter("finite", |it| it.is_finite())) {
        let Ok(Value::Float(back)) = value_of(&spelled(number)) else {
            panic!("a float was written")
        };
        prop_assert_eq!(back.to_bits(), number.to_bits());
    }

    #[test]
    fn whatever_serde_json_reads_is_read_to_the_same_value(text in any::<String>(), number in any::<i64>()) {
        let text = serde_json::json!({"type": "t", "v": [text, number]}).to_string();
        prop_assert_eq!(loaded(&text).unwrap(), fanfare_protocol::json::parse_event(text.as_bytes()).unwrap());
    }
}
