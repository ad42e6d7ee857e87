//! What a route's clients get for an event.

use bytes::{Bytes, BytesMut};
use fanfare_protocol::{Encoder as _, Event, RouteEncoder, Undeliverable, Value};

fn table() -> RouteEncoder {
    let send = [("chat.message".to_owned(), "message".to_owned())].into();
    RouteEncoder {
        send,
        deliver_unknown: true,
    }
}

fn frames(table: &RouteEncoder, event: &Event) -> Result<Vec<u8>, Undeliverable> {
    let mut out = BytesMut::from(&b"before"[..]);
    let encoded = table.encode(event, &mut out);
    let added = out
        .strip_prefix(&b"before"[..])
        .expect("only appended to")
        .to_vec();
    if encoded.is_err() {
        assert!(added.is_empty(), "nothing is appended with a refusal");
    }
    encoded.map(|()| added)
}

fn message(value: impl Into<Value>) -> Event {
    Event::new("chat.message").with("message", value)
}

#[test]
fn a_named_field_is_sent_as_what_it_is() {
    assert_eq!(frames(&table(), &message("hi")).unwrap(), b"\x81\x02hi");
    assert_eq!(
        frames(&table(), &message(Bytes::from_static(b"\xff"))).unwrap(),
        b"\x82\x01\xff"
    );
    assert_eq!(frames(&table(), &message(1_i64)).unwrap(), b"\x81\x011");
    let list = Value::List(vec!["a".into(), Value::Nil]);
    assert_eq!(
        frames(&table(), &message(list)).unwrap(),
        b"\x81\x0a[\"a\",null]"
    );
}

#[test]
fn a_missing_field_is_not_sent() {
    let event = Event::new("chat.message").with("text", "hi");
    assert_eq!(frames(&table(), &event), Err(Undeliverable::FieldMissing));
}

#[test]
fn a_type_without_an_entry_is_json_or_refused() {
    let event = Event::new("other").with("x", 1_i64);
    assert_eq!(frames(&table(), &event).unwrap(), b"\x81\x07{\"x\":1}");
    let strict = RouteEncoder {
        deliver_unknown: false,
        ..table()
    };
    assert_eq!(frames(&strict, &event), Err(Undeliverable::UnknownType));
}

#[test]
fn json_of_every_size_gets_its_header() {
    for (size, header) in [(117, 2), (118, 4), (65_527, 4), (65_528, 10)] {
        let event = Event::new("other").with("x", "y".repeat(size));
        let frame = frames(&table(), &event).unwrap();
        // `{"x":""}` is 8 bytes.
        assert_eq!(frame.len(), header + size + 8);
        assert_eq!(frame[header..header + 6], *b"{\"x\":\"");
        assert_eq!(frame[frame.len() - 2..], *b"\"}");
    }
}
