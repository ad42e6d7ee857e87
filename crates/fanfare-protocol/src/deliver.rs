//! The `deliver` table of a route, and the encoder that frames what it says.

use std::collections::HashMap;

use bytes::BytesMut;

use crate::encoder::{Encoder, Outgoing, Undeliverable};
use crate::event::{Event, Value};
use crate::frame::{self, Opcode};
use crate::json;

/// The part of an event that the clients of a route get: `[routes.deliver."type"] send = "field"`.
/// It does not depend on WebSocket frames.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliverTable {
    /// The field that is sent, for each type of event.
    pub send: HashMap<String, String>,
    /// Whether types without an entry are delivered as JSON.
    pub deliver_unknown: bool,
}

/// The part of an event that is sent. It borrows from the event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Payload<'a> {
    /// Text as it is.
    Text(&'a str),
    /// Bytes as they are.
    Binary(&'a [u8]),
    /// A value, as JSON text.
    Json(&'a Value),
    /// The whole event, as JSON text.
    Event(&'a Event),
}

impl DeliverTable {
    /// The part of an event that is sent.
    ///
    /// # Errors
    /// [`Undeliverable`] if nothing is sent.
    pub fn payload<'a>(&self, event: &'a Event) -> Result<Payload<'a>, Undeliverable> {
        match self.send.get(event.event_type()) {
            Some(field) => match event.get(field).ok_or(Undeliverable::FieldMissing)? {
                Value::Str(text) => Ok(Payload::Text(text)),
                Value::Bin(bytes) => Ok(Payload::Binary(bytes)),
                other => Ok(Payload::Json(other)),
            },
            None if self.deliver_unknown => Ok(Payload::Event(event)),
            None => Err(Undeliverable::UnknownType),
        }
    }
}

impl Default for DeliverTable {
    fn default() -> Self {
        Self {
            send: HashMap::new(),
            deliver_unknown: true,
        }
    }
}

/// A table's payloads as WebSocket frames: the encoder of a configured route.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RouteEncoder(pub DeliverTable);

impl Encoder for RouteEncoder {
    fn encode(&self, message: &Outgoing<'_>, frames: &mut BytesMut) -> Result<(), Undeliverable> {
        match self.0.payload(message.event)? {
            Payload::Text(text) => frame::push(frames, Opcode::Text, text.as_bytes()),
            Payload::Binary(bytes) => frame::push(frames, Opcode::Binary, bytes),
            Payload::Json(value) => {
                frame::push_with(frames, Opcode::Text, |out| json::write_value(value, out));
            }
            Payload::Event(event) => {
                frame::push_with(frames, Opcode::Text, |out| json::write_event(event, out));
            }
        }
        Ok(())
    }
}
