//! The wire format of channels_redis' core layer: messages wait in sorted sets, one for each
//! process, and groups are sorted sets of members.
//!
//! A node is a member of a group once, under a name that leads to one of its `lanes`; so a message
//! for ten thousand sessions of a node is stored once. Each host has a `link`: commands go through
//! its `line`, lanes are emptied by `intake`, what waits in normal channels is fetched by
//! `channels`, memberships are written by `members` and kept alive by `beat`. What this node
//! publishes leaves by one task, `send`.

mod beat;
mod capacity;
mod channels;
mod clean;
mod guests;
mod intake;
mod keys;
mod layer;
mod line;
mod link;
mod members;
mod recent;
mod search;
mod send;
mod unpack;

use std::sync::Arc;
use std::time::Duration;

use fanfare_protocol::Serializer;

use crate::LayerMetrics;
use crate::redis::inbox::Inbox;

pub use capacity::{Capacities, CapacityError};
pub(super) use layer::CoreLayer;

use channels::Wants;
use keys::Keys;
use line::Line;
use recent::Recent;
use unpack::Bodies;

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

/// What the parts of a core layer have in common.
pub(super) struct Shared {
    keys: Arc<Keys>,
    options: CoreOptions,
    /// One for each host, in their order.
    lines: Vec<Arc<Line>>,
    inbox: Arc<Inbox<Bodies>>,
    wants: Wants,
    recent: Arc<Recent>,
    metrics: LayerMetrics,
    /// How long an answer may take.
    probe: Duration,
}
