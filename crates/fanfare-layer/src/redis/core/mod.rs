//! The wire format of channels_redis' core layer: messages wait in sorted sets, one for each
//! process, and groups are sorted sets of members.
//!
//! A node is a member of a group once, under a name that leads to one of its lanes, the sorted sets
//! that it reads; so a message for ten thousand sessions of a node is stored once.
//!
//! - `host`: the connections to one server: commands, and reads that wait in Redis;
//! - `receive`: from lanes and normal channels into the queue of what arrived;
//! - `send`: one task sends all that this node publishes;
//! - `membership`: what the servers have of this node, its signs of life, and the cleaning up after
//!   nodes that died;
//! - `layer`: all of it together.

mod demand;
mod host;
mod keys;
pub(super) mod layer;
mod membership;
mod receive;
mod send;
mod shared;
mod unpack;

#[cfg(all(test, feature = "redis-tests"))]
#[path = "../../../tests/with_redis/mod.rs"]
mod with_redis;
