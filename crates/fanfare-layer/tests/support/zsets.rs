//! What Redis has of a core layer.

use anyhow::Result;
use fanfare_rig::RedisServer;

/// The members of a group, in the order of their names.
pub(crate) fn members(server: &RedisServer, group: &str) -> Result<Vec<String>> {
    let key = format!("asgi:group:{group}");
    let answer = server.cli(&["ZRANGE", &key, "0", "-1"])?;
    let mut members: Vec<String> = redis::from_redis_value(answer)?;
    members.sort_unstable();
    Ok(members)
}

/// The score of a member of a group: when it was written last.
pub(crate) fn score(server: &RedisServer, group: &str, member: &str) -> Result<Option<f64>> {
    let key = format!("asgi:group:{group}");
    Ok(redis::from_redis_value(
        server.cli(&["ZSCORE", &key, member])?,
    )?)
}

/// Puts a channel into a group as `group_add` of channels_redis does.
pub(crate) fn add(server: &RedisServer, group: &str, channel: &str) -> Result<()> {
    let score = clock(server)?.to_string();
    let key = format!("asgi:group:{group}");
    server.cli(&["ZADD", &key, &score, channel]).map(drop)
}

/// Takes a channel out of a group as `group_discard` of channels_redis does.
pub(crate) fn discard(server: &RedisServer, group: &str, channel: &str) -> Result<()> {
    let key = format!("asgi:group:{group}");
    server.cli(&["ZREM", &key, channel]).map(drop)
}

/// The keys that match a pattern.
pub(crate) fn keys(server: &RedisServer, pattern: &str) -> Result<Vec<String>> {
    let mut keys: Vec<String> = redis::from_redis_value(server.cli(&["KEYS", pattern])?)?;
    keys.sort_unstable();
    Ok(keys)
}

/// Redis' clock, in seconds since 1970.
pub(crate) fn clock(server: &RedisServer) -> Result<f64> {
    let (seconds, micros): (f64, f64) = redis::from_redis_value(server.cli(&["TIME"])?)?;
    Ok(seconds + micros / 1e6)
}
