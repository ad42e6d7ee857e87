mod cluster;
mod endings;
mod workers;
#[cfg(feature = "redis")]
mod workers_with_redis;
