//! The programming model: consumers and their sessions, routes and middleware, the cluster handle.
//!
//! Examples in the documentation say `fanfare_consumer`; with the facade it is `fanfare`.

mod answer;
mod client;
mod cluster;
mod consumer;
mod failure;
mod frame;
pub mod handshake;
mod json;
mod member;
mod metrics;
pub mod middleware;
mod refusal;
mod request;
mod route;
mod run;
mod session;
pub mod template;
#[cfg(feature = "testing")]
pub mod testing;
mod user;
mod worker;

pub use answer::{Accept, Reject};
pub use client::{Client, NetworkError, TrustedProxies, client, peer};
pub use cluster::{
    Cluster, ClusterError, ClusterOptions, GroupError, Layer, SendError, blocking, cluster_of,
};
#[cfg(feature = "redis")]
pub use cluster::{CoreFormat, RedisFormat, RedisLayer};
pub use consumer::{Consumer, Frames, Unknown};
pub use failure::{Failure, Outcome};
#[cfg(feature = "redis")]
pub use fanfare_node::MembershipMode;
pub use fanfare_protocol::CloseCode;
#[cfg(feature = "redis")]
pub use fanfare_protocol::serializer::Notation;
pub use frame::Frame;
pub use handshake::{Handshake, HandshakeError, Offer, Ours, Takeover, node_of};
pub use json::{Json, JsonConsumer};
pub use member::{Member, MemberError};
pub use metrics::ConsumerMetrics;
pub use middleware::UserResolver;
pub use request::Request;
pub use route::{consumer, consumer_with};
pub use session::{Gone, Session, SessionHandle, Timer, Unsent};
pub use user::User;
pub use worker::{Worker, WorkerError, Workers, WorkersError, WorkersReport};
