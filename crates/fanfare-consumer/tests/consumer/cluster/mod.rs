//! The cluster handle, from every place that a program may hold it.

mod blocking;
mod extract;
mod members;
mod publish;
#[cfg(feature = "redis")]
mod redis;
mod rig;
