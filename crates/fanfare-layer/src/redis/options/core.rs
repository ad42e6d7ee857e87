//! What the core format has to be told.

use std::time::Duration;

use fanfare_protocol::Serializer;

use super::capacities::Capacities;

/// What the core format has to be told; the same on all nodes and in Python, as channels_redis'
/// options of these names.
#[derive(Debug, Clone)]
pub struct CoreOptions {
    /// Writes and reads messages; one of [`Serializer::core`].
    pub serializer: Serializer,
    /// How many messages may wait for one process, or in one normal channel, before senders refuse.
    pub capacity: Capacities,
    /// How long a message may wait. channels_redis' default: 60 seconds.
    pub expiry: Duration,
    /// How long a membership lasts that is not renewed; this node renews its own. A sender's
    /// counts for all members. channels_redis' default: one day.
    pub group_expiry: Duration,
    /// Whether sessions are members of groups under their own names
    /// ([`Subscription::SessionInGroup`](crate::Subscription)), so that others can take them out.
    pub per_session: bool,
}
