//! Building events by hand.

use fanfare_protocol::event::EventError;
use fanfare_protocol::{Event, Value};

#[test]
fn a_field_set_twice_has_its_last_value() {
    let event = Event::new("t")
        .with("x", 1_i64)
        .with("y", 2_i64)
        .with("x", 3_i64);
    assert_eq!(event.fields().len(), 3);
    assert_eq!(event.get("x"), Some(&Value::Int(3)));
}

#[test]
fn an_event_always_has_a_string_type() {
    assert_eq!(Event::new("t").with("type", 1_i64).event_type(), "t");
    assert_eq!(Event::new("t").with("type", "u").event_type(), "u");
    assert_eq!(Event::from_fields(vec![]), Err(EventError::NoType));
    let number = vec![("type".into(), Value::Int(1))];
    assert_eq!(Event::from_fields(number), Err(EventError::TypeNotString));
}

#[test]
fn numbers_take_the_signed_form_when_they_fit() {
    assert_eq!(Value::from(7_u64), Value::Int(7));
    assert_eq!(Value::from(u64::MAX), Value::UInt(u64::MAX));
}
