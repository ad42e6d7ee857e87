//! What a route's clients get for an event.

use bytes::{Bytes, BytesMut};
use fanfare_protocol::{
    CloseCode, DeliverTable, Encoder, Event, Goodbye, GroupName, Outgoing, Payload, RouteEncoder,
    Target, Undeliverable, Value,
};

fn table() -> DeliverTable {
    let send = [("chat.message".to_owned(), "message".to_owned())].into();
    DeliverTable {
        send,
        deliver_unknown: true,
    }
}

fn frames(table: &DeliverTable, event: &Event) -> Result<Vec<u8>, Undeliverable> {
    let mut out = BytesMut::from(&b"before"[..]);
    let target = Target::Group(GroupName::everyone());
    let encoded = RouteEncoder(table.clone()).encode(&Outgoing::new(&target, event), &mut out);
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
    let frame = b"\x81\x16{\"type\":\"other\",\"x\":1}";
    assert_eq!(frames(&table(), &event).unwrap(), frame);
    let strict = DeliverTable {
        deliver_unknown: false,
        ..table()
    };
    assert_eq!(frames(&strict, &event), Err(Undeliverable::UnknownType));
}

#[test]
fn json_of_every_size_gets_its_header() {
    for (size, header) in [(102, 2), (103, 4), (65_512, 4), (65_513, 10)] {
        let event = Event::new("other").with("x", "y".repeat(size));
        let frame = frames(&table(), &event).unwrap();
        // `{"type":"other","x":""}` is 23 bytes.
        assert_eq!(frame.len(), header + size + 23);
        assert_eq!(frame[header..header + 8], *b"{\"type\":");
        assert_eq!(frame[frame.len() - 2..], *b"\"}");
    }
}

#[test]
fn a_table_says_what_is_sent_without_any_framing() {
    let text = message("hi");
    assert_eq!(table().payload(&text), Ok(Payload::Text("hi")));
    let bytes = message(Bytes::from_static(b"\xff"));
    assert_eq!(table().payload(&bytes), Ok(Payload::Binary(b"\xff")));
    let number = message(1_i64);
    assert_eq!(table().payload(&number), Ok(Payload::Json(&Value::Int(1))));
    let other = Event::new("other");
    assert_eq!(table().payload(&other), Ok(Payload::Event(&other)));
}

/// Prints what it is given, and writes nothing of its own at the end.
struct Printer;

impl Encoder for Printer {
    fn encode(&self, message: &Outgoing<'_>, frames: &mut BytesMut) -> Result<(), Undeliverable> {
        frames.extend_from_slice(format!("{:?}", message.target).as_bytes());
        Ok(())
    }
}

#[test]
fn an_encoder_closes_and_pings_as_plain_websocket_does_unless_it_says_otherwise() {
    let mut frames = BytesMut::new();
    let close = Printer.goodbye(Goodbye::Shutdown, &mut frames);
    assert_eq!(close.code, CloseCode::GOING_AWAY);
    assert_eq!(close.reason, "node is shutting down");
    let requested = Goodbye::Requested {
        code: CloseCode(4000),
        reason: "kicked",
    };
    let close = Printer.goodbye(requested, &mut frames);
    assert_eq!((close.code, &*close.reason), (CloseCode(4000), "kicked"));
    assert!(frames.is_empty(), "nothing in front of the close frame");
    Printer.ping(&mut frames);
    assert_eq!(frames, b"\x89\x00"[..]);
}
