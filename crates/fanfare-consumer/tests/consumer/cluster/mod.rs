//! The cluster handle, from every place that a program may hold it.

mod blocking;
mod extract;
mod members;
mod publish;
mod rig;
#[cfg(feature = "redis")]
mod with_redis;
