mod cluster;
#[cfg(feature = "testing")]
mod endings;
mod middleware;
mod workers;
#[cfg(feature = "redis")]
mod workers_with_redis;
