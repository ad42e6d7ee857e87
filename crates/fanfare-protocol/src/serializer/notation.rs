//! The notations of events in Redis.

/// The notation of events in Redis; the same on all nodes and in channels_redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notation {
    /// channels_redis' default.
    Msgpack,
    /// Text: bytes, NaN and infinities cannot be published.
    Json,
}
