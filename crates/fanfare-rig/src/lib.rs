//! The test rig: real processes under test, and the hands to hold them with. Never shipped.
//!
//! - [`RedisServer`]: a private redis-server or valkey-server; [`RedisCluster`], [`Sentinels`]: several.
//! - [`Cluster`] of [`Node`]s: real `fanfare` processes, each on a port of its own.
//! - [`Socket`] and [`Recorder`]: WebSocket clients; [`RawConnection`]: clients that misbehave.
//! - [`Api`], [`Metrics`]: the HTTP side of a node.
//! - [`DjangoSite`]: the sample Django project, and [`Visitor`]s of its pages; [`Nginx`] in front.
//! - [`PythonLayer`], [`PythonWorker`]: unmodified `channels_redis` and Channels, in Python processes.
//! - [`ReservedPort`]: a port for a server that cannot be told to take any free one.
//! - [`within`], [`eventually`]: waiting with a deadline, for an event or a condition.
//! - [`spellings`]: how the path of a WebSocket can be written.
//! - [`documented_rules`]: what the documentation lets Redis users do.
//! - [`LayerDouble`]: a layer that misbehaves.
//! - [`Logs`]: what a test's own thread logs.
//! - [`Turn`]: tests that measure have the machine to themselves.
//!
//! Nothing here retries or sleeps to let time pass: it waits for something, and says what for when
//! it does not come. The rig knows the product only by its public surface.

mod acl;
mod cluster;
mod deadline;
mod django;
mod http;
mod layer_double;
mod logs;
mod metrics;
mod nginx;
mod node;
mod paths;
mod ports;
mod process;
mod python;
mod raw;
mod recorder;
mod redis_cluster;
mod redis_process;
mod redis_server;
mod sentinels;
mod socket;
mod spellings;
mod turn;
mod visitor;

pub use acl::documented_rules;
pub use cluster::{Cluster, ClusterOptions};
pub use deadline::{eventually, within};
pub use django::{DjangoLayer, DjangoSite, sample};
pub use http::{Answer, Api, path_segment};
pub use layer_double::{LayerDouble, Subscribed};
pub use logs::Logs;
pub use metrics::Metrics;
pub use nginx::Nginx;
pub use node::{API_KEY, Node};
pub use paths::{project_root, server_binary};
pub use ports::ReservedPort;
pub use process::{Process, raise_descriptor_limit};
pub use python::{
    PythonBackend, PythonError, PythonLayer, PythonOptions, PythonSerializer, PythonSeries,
    PythonTarget, PythonWorker, RedisPy, python_hosts,
};
pub use raw::{Opcode, RawConnection, RawFrame, RawResponse};
pub use recorder::{Received, Recorder};
pub use redis_cluster::{ClusterReplica, RedisCluster};
pub use redis_process::Program;
pub use redis_server::{RedisOptions, RedisServer};
pub use sentinels::{Sentinels, SentinelsOptions};
pub use socket::{Socket, SocketOptions};
pub use spellings::spellings;
pub use turn::Turn;
pub use visitor::Visitor;
