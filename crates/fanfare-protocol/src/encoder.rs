//! Delivery encoders: how an event becomes frames for the sessions of one route.

use std::collections::HashMap;

use bytes::BytesMut;

use crate::event::{Event, Value};
use crate::frame::{self, Opcode};
use crate::json;

/// Turns an event into encoded frames. Sessions that share a encoder share the encoded bytes.
pub trait Encoder: Send + Sync + 'static {
    /// Appends the frames of `event` to `frames`.
    ///
    /// # Errors
    /// [`Undeliverable`] when the encoder has nothing to send for it; `frames` is unchanged then.
    fn encode(&self, event: &Event, frames: &mut BytesMut) -> Result<(), Undeliverable>;
}

/// Why a encoder sends nothing for an event; each is a drop cause in the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undeliverable {
    /// The table names a field that the event lacks.
    FieldMissing,
    /// The table has no entry for the type and the route refuses unknown types.
    UnknownType,
}

/// The encoder of a configured route: `[routes.deliver."type"] send = "field"`.
#[derive(Debug, Clone, PartialEq)]
pub struct RouteEncoder {
    /// Event type to the field that is sent.
    pub send: HashMap<String, String>,
    /// Whether types without an entry are delivered as JSON.
    pub deliver_unknown: bool,
}

impl Default for RouteEncoder {
    fn default() -> Self {
        Self {
            send: HashMap::new(),
            deliver_unknown: true,
        }
    }
}

impl Encoder for RouteEncoder {
    fn encode(&self, event: &Event, frames: &mut BytesMut) -> Result<(), Undeliverable> {
        match self.send.get(event.kind()) {
            Some(field) => match event.get(field).ok_or(Undeliverable::FieldMissing)? {
                Value::Str(text) => frame::push(frames, Opcode::Text, text.as_bytes()),
                Value::Bin(bytes) => frame::push(frames, Opcode::Binary, bytes),
                other => {
                    frame::push_with(frames, Opcode::Text, |out| json::write_value(other, out))
                }
            },
            None if self.deliver_unknown => {
                frame::push_with(frames, Opcode::Text, |out| json::write_event(event, out))
            }
            None => return Err(Undeliverable::UnknownType),
        }
        Ok(())
    }
}
