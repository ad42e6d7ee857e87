//! Clusters over a Redis server of their own.

mod count;
mod format;
mod lease;
mod redis;
