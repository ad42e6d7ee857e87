//! The control channel over Redis, the same in both formats: PUBLISH and SUBSCRIBE on channels
//! outside of the layer's prefix.
//!
//! Every node subscribes a channel of its own and one for all nodes, on every host. A node that
//! serves commands publishes a sign of life every two seconds and says when it leaves; so every
//! node knows who is alive without a key in Redis. A request goes over one host, chosen by the
//! request's id, or over the next host that takes it. Its answers come back over the same host.
//!
//! - `message`: what travels;
//! - `live`: which nodes are alive;
//! - `pending`: requests without all their answers;
//! - `channel`: asking, and the connections of the hosts;
//! - `serve`: signs of life, and what arrives.

pub(super) mod channel;
mod live;
mod message;
mod pending;
pub(super) mod serve;
