//! The words of Fanfare that travel: names, events, envelopes, close codes and WebSocket frames.
//!
//! This crate is pure: no async, no I/O, no actix. Bytes come in, values go out, and the reverse.
//! The clock is read for one thing, the times in the tokens of a [`serializer`] that encrypts; the
//! system's random source for ids, and for prefixes and tokens. Everything above this crate (layer,
//! node, gateway, server) speaks in these types.
//!
//! - [`name`]: groups, channels, node and session ids, checked once at the edge. [`name_map`]: maps
//!   by names that strangers choose.
//! - [`event`]: what travels through a layer; [`msgpack`] and [`json`] are its two notations.
//! - [`event_rules`]: which events applications may publish.
//! - [`typed`]: events and values from and into the types of an application.
//! - [`envelope`]: an event with the metadata that nodes exchange about it.
//! - [`frame`]: what travels on a socket.
//! - [`serializer`]: what an event is in Redis, with its encryption.
//! - [`encoder`]: how an event becomes frames; [`deliver`]: the table of a route that says so.
//! - [`position`]: where an event stands in the history of its group.
//! - [`close`]: every close code a client can see.

pub mod close;
pub mod deliver;
pub mod encoder;
pub mod envelope;
mod error;
pub mod event;
pub mod event_rules;
mod fields;
pub mod frame;
pub mod json;
mod meta;
pub mod msgpack;
pub mod name;
pub mod name_map;
mod parts;
pub mod position;
mod recipients;
pub mod serializer;
mod session_id;
pub mod typed;
mod typed_error;

pub use close::{Close, CloseCode, CloseError};
pub use deliver::{DeliverTable, Payload, RouteEncoder};
pub use encoder::{Encoder, Goodbye, Outgoing, Undeliverable};
pub use envelope::Envelope;
pub use event::{Event, Value};
pub use name::{ChannelName, GroupName, NameError, Naming, NodeId, Target};
pub use name_map::{NameHash, NameMap, NameSet};
pub use position::{Epoch, Position, PositionError};
pub use serializer::{SerializeError, Serializer};
pub use session_id::SessionId;
pub use typed::TypedError;
