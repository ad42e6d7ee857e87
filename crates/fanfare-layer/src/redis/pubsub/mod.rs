//! The wire format of channels_redis' pub/sub layer, over any number of hosts.
//!
//! Each host has a `link`, which is two connections: one publishes, one is subscribed.

mod host;
mod keys;
pub(super) mod layer;
mod link;
mod probe;
mod subscriber;
mod unpack;
