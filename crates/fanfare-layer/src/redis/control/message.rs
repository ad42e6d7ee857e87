//! What travels on the control channel: one small msgpack map.

use bytes::Bytes;
use fanfare_protocol::{Envelope, Event, NodeId, Value};

use crate::control::MAX_CONTROL_BYTES;

/// The version of the form; messages of another are refused.
const VERSION: i64 = 1;
/// Bytes of a message beside its body.
const HEAD_BYTES: usize = 512;

/// A message of one node.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) from: NodeId,
    pub(super) content: Content,
}

/// What a node says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// It is alive and serves commands.
    Alive,
    /// It asks all nodes to say that they are alive.
    Who,
    /// It serves no longer.
    Leave,
    /// A request, with the time that it waits for an answer.
    Ask { id: i64, millis: u64, body: Bytes },
    /// The answer to a request.
    Answer { id: i64, body: Bytes },
}

/// A message that has another form than this version's.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl Message {
    pub(super) fn encode(self) -> Bytes {
        let event = |kind: &'static str| {
            Event::new(kind)
                .with("v", VERSION)
                .with("from", self.from.to_string())
        };
        let event = match self.content {
            Content::Alive => event("alive"),
            Content::Who => event("who"),
            Content::Leave => event("leave"),
            Content::Ask { id, millis, body } => event("ask")
                .with("id", id)
                .with("deadline_ms", i64::try_from(millis).unwrap_or(i64::MAX))
                .with("body", Value::Bin(body)),
            Content::Answer { id, body } => event("answer")
                .with("id", id)
                .with("body", Value::Bin(body)),
        };
        Envelope::new(event).to_msgpack()
    }

    pub(super) fn decode(wire: &[u8]) -> Result<Self, Malformed> {
        if wire.len() > MAX_CONTROL_BYTES + HEAD_BYTES {
            return Err(Malformed);
        }
        let envelope = Envelope::from_msgpack(&Bytes::copy_from_slice(wire));
        let event = envelope.map_err(|_| Malformed)?.event;
        let (Some(Value::Int(VERSION)), Some(Value::Str(from))) =
            (event.get("v"), event.get("from"))
        else {
            return Err(Malformed);
        };
        let from = NodeId::parse(from).ok_or(Malformed)?;
        let content = match event.event_type() {
            "alive" => Content::Alive,
            "who" => Content::Who,
            "leave" => Content::Leave,
            "ask" => {
                let millis =
                    u64::try_from(number(&event, "deadline_ms")?).map_err(|_| Malformed)?;
                let (id, body) = (number(&event, "id")?, body(&event)?);
                Content::Ask { id, millis, body }
            }
            "answer" => Content::Answer {
                id: number(&event, "id")?,
                body: body(&event)?,
            },
            _ => return Err(Malformed),
        };
        Ok(Self { from, content })
    }
}

fn number(event: &Event, key: &str) -> Result<i64, Malformed> {
    match event.get(key) {
        Some(Value::Int(number)) => Ok(*number),
        _ => Err(Malformed),
    }
}

fn body(event: &Event) -> Result<Bytes, Malformed> {
    match event.get("body") {
        Some(Value::Bin(body)) if body.len() <= MAX_CONTROL_BYTES => Ok(body.clone()),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from() -> NodeId {
        NodeId::parse("0123456789abcdef0123456789abcdef").unwrap()
    }

    #[test]
    fn a_message_survives_its_encoding() {
        let body = Bytes::from(vec![0xff; MAX_CONTROL_BYTES]);
        let (id, millis) = (i64::MAX, 1000);
        for content in [
            Content::Alive,
            Content::Who,
            Content::Leave,
            Content::Answer {
                id,
                body: body.clone(),
            },
            Content::Ask { id, millis, body },
        ] {
            let wire = Message {
                from: from(),
                content,
            };
            let again = Message::decode(&wire.encode()).unwrap();
            assert_eq!(again.from, from());
        }
    }

    #[test]
    fn other_forms_are_malformed() {
        let good = Event::new("answer")
            .with("v", VERSION)
            .with("from", from().to_string())
            .with("id", 1_i64)
            .with("body", Value::Bin(Bytes::from_static(b"x")));
        let decode = |event: Event| Message::decode(&Envelope::new(event).to_msgpack());
        assert!(decode(good.clone()).is_ok());
        for (key, value) in [
            ("v", Value::Int(2)),
            ("from", Value::from("somebody")),
            ("id", Value::from("1")),
            ("body", Value::from("text")),
            ("type", Value::from("shutdown")),
            ("body", Value::Bin(vec![0; MAX_CONTROL_BYTES + 1].into())),
        ] {
            assert_eq!(
                decode(good.clone().with(key, value)),
                Err(Malformed),
                "{key}"
            );
        }
        assert_eq!(Message::decode(b"\xc1"), Err(Malformed));
        assert_eq!(Message::decode(b"17"), Err(Malformed));
    }
}
