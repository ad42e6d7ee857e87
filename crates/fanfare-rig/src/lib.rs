//! The test rig: real processes under test, and the hands to hold them with. Never shipped.
//!
//! - [`RedisServer`]: a private redis-server.
//! - [`Cluster`] of [`Node`]s: real `fanfare` processes, each on a port of its own.
//! - [`Socket`] and [`Recorder`]: WebSocket clients; [`RawConnection`]: clients that misbehave.
//! - [`Api`], [`Metrics`]: the HTTP side of a node.
//! - [`PythonLayer`]: an unmodified `channels_redis` layer in a Python process.
//! - [`within`], [`eventually`]: waiting with a deadline, for an event or a condition.
//! - [`Logs`]: what a test's own thread logs.
//! - [`Turn`]: tests that measure have the machine to themselves.
//!
//! Nothing here retries or sleeps to let time pass: it waits for something, and says what for when
//! it does not come. The rig knows the product only by its public surface.

mod cluster;
mod deadline;
mod http;
mod logs;
mod metrics;
mod node;
mod paths;
mod process;
mod python;
mod raw;
mod recorder;
mod redis_server;
mod socket;
mod turn;

pub use cluster::{Cluster, ClusterOptions};
pub use deadline::{eventually, within};
pub use http::{Answer, Api};
pub use logs::Logs;
pub use metrics::Metrics;
pub use node::{API_KEY, Node};
pub use paths::{project_root, server_binary};
pub use process::{Process, raise_descriptor_limit};
pub use python::PythonLayer;
pub use raw::{Opcode, RawConnection, RawFrame, RawResponse};
pub use recorder::{Received, Recorder};
pub use redis_server::{RedisOptions, RedisServer};
pub use socket::{Socket, SocketOptions};
pub use turn::Turn;
