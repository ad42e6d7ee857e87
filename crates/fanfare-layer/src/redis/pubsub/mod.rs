//! The wire format of channels_redis' pub/sub layer: every group and every channel is a channel of
//! Redis, and nothing is stored.

mod keys;
mod layer;
mod link;
mod unpack;

pub(super) use layer::PubSubLayer;
