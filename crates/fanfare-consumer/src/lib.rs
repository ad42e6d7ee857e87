//! The programming model: consumers and their sessions, routes, the cluster handle.
//!
//! This crate does not depend on listeners or configuration.
//!
//! Examples in the documentation import from `fanfare_consumer`. With the facade import from
//! `fanfare`.

mod actor_member;
mod cluster;
mod consumer;
mod failure;
mod frame;
pub mod health;
mod json;
mod metrics;
mod reject;
mod route;
mod run;
mod session;
mod worker;

pub use actor_member::{ActorMember, MemberError};
pub use cluster::{
    AskError, Claim, Cluster, ClusterCount, ClusterError, ClusterOptions, GroupError, InvalidLease,
    Layer, Lease, Local, SendError, blocking, cluster_of,
};
#[cfg(feature = "redis")]
pub use cluster::{CoreFormat, RedisFormat, RedisLayer};
pub use consumer::{Consumer, Frames, Unknown};
pub use failure::{Failure, Outcome};
#[cfg(feature = "redis")]
pub use fanfare_layer::redis::RedisPace;
#[cfg(feature = "redis")]
pub use fanfare_node::MembershipMode;
pub use fanfare_protocol::CloseCode;
#[cfg(feature = "redis")]
pub use fanfare_protocol::serializer::Notation;
pub use fanfare_web::{
    Accept, Client, Host, NetworkError, Reject, Request, TrustedProxies, User, client, handshake,
    middleware, peer,
};
pub use frame::{Frame, FromFrame};
pub use json::{JsonError, JsonFrame};
pub use metrics::ConsumerMetrics;
pub use route::{consumer, consumer_with};
pub use session::{Gone, MessageOf, Session, SessionHandle, Timer, Unsent};
pub use worker::{Worker, WorkerError, Workers, WorkersError, WorkersReport};
