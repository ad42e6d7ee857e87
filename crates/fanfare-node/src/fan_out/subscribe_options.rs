//! What a subscription is made with.

use std::sync::Arc;

use fanfare_protocol::Encoder;

use super::event_sink::DeliveryMode;

/// How one session takes the events of one group.
#[derive(Clone)]
pub struct SubscribeOptions {
    /// How events become frames; sessions that share the encoder share the frames.
    pub encoder: Arc<dyn Encoder>,
    /// Whether the events come as frames or to the session's program.
    pub mode: DeliveryMode,
    /// The caller's number for the subscription; the program gets it with every event.
    pub tag: u32,
}
