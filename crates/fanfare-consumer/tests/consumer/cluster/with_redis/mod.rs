//! Clusters over a Redis server of their own.

mod format;
mod redis;
