//! The cluster handle, from every place that a program may hold it.

mod blocking;
mod extract;
#[cfg(feature = "redis")]
mod format;
mod members;
mod publish;
#[cfg(feature = "redis")]
mod redis;
mod rig;
