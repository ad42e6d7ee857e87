//! Faults and bursts in the core format of channels_redis, with unmodified Python beside.

mod bursts;
mod death;
mod names;
mod restart;
mod shares;

use anyhow::{Context, Result};
use fanfare_rig::{ClusterOptions, PythonLayer, PythonOptions, RedisServer, Socket, eventually};
use redis::Value as Reply;
use serde_json::Value;

use crate::support::{GROUP_ROUTE, SOON};

/// Sockets in a group of their own and in one with everybody, `steady`.
const TWO_GROUPS_ROUTE: &str = r#"
[[routes]]
path = "/two/{group}"
groups = ["{group}", "steady"]
user = { query = "user" }
"#;

fn nodes(count: usize, redis: &RedisServer) -> ClusterOptions {
    ClusterOptions::new()
        .nodes(count)
        .redis(&redis.url())
        .set("layer.format", "core")
        .config(GROUP_ROUTE)
        .config(TWO_GROUPS_ROUTE)
}

async fn python(redis: &RedisServer) -> Result<PythonLayer> {
    PythonLayer::with(&PythonOptions::core([redis.url()])).await
}

/// The hex digits of the node that a session is on.
fn node_of(channel: &str) -> Result<String> {
    let node = channel.strip_prefix("specific.");
    let node = node.and_then(|rest| rest.split_once('!'));
    Ok(node.with_context(|| channel.to_owned())?.0.to_owned())
}

/// Who is in a group's zset.
fn members(redis: &RedisServer, group: &str) -> Result<Vec<String>> {
    let key = format!("asgi:group:{group}");
    let names = redis.cli(&["ZRANGE", &key, "0", "-1"])?;
    Ok(redis::from_redis_value(names)?)
}

/// The member that stands for a node in a group, if it does.
fn member_of(redis: &RedisServer, group: &str, node: &str) -> Result<Option<String>> {
    let lanes = format!("specific.{node}.g");
    let is_its = |name: &String| name.starts_with(&lanes) && name.ends_with(&format!("!{group}"));
    Ok(members(redis, group)?.into_iter().find(is_its))
}

/// The zset that a node reads for a group.
fn lane_of(redis: &RedisServer, group: &str, node: &str) -> Result<String> {
    let member = member_of(redis, group, node)?;
    let member = member.with_context(|| format!("{node} in {group}"))?;
    let (lane, _) = member.split_once('!').context("a lane")?;
    Ok(format!("asgi{lane}!"))
}

fn keys(redis: &RedisServer, pattern: &str) -> Result<Vec<String>> {
    Ok(redis::from_redis_value(redis.cli(&["KEYS", pattern])?)?)
}

/// Every group with a member of a node in its zset, and every key with its id.
fn traces_of(redis: &RedisServer, node: &str) -> Result<Vec<String>> {
    let mut traces = keys(redis, &format!("*{node}*"))?;
    for key in keys(redis, "asgi:group:*")? {
        let names: Vec<String> = redis::from_redis_value(redis.cli(&["ZRANGE", &key, "0", "-1"])?)?;
        let names = names.iter().filter(|name| name.contains(node));
        traces.extend(names.map(|name| format!("{name} in {key}")));
    }
    let known = redis.cli(&["ZSCORE", "fanfare:asgi:nodes", node])?;
    if known != Reply::Nil {
        traces.push(format!("{node} in fanfare:asgi:nodes"));
    }
    Ok(traces)
}

fn waiting(redis: &RedisServer, key: &str) -> Result<usize> {
    Ok(redis::from_redis_value(redis.cli(&["ZCARD", key])?)?)
}

/// Waits until no client of Redis waits there for a message.
async fn nobody_waits(redis: &RedisServer) -> Result<()> {
    eventually(SOON, "no client in a blocking command", async || {
        let info: String = redis::from_redis_value(redis.cli(&["INFO", "clients"])?)?;
        let none = info.lines().any(|line| line == "blocked_clients:0");
        Ok(none.then_some(()))
    })
    .await
}

/// The `number` of an event, as a frame or as Python gives it.
fn number_of(event: &Value) -> Option<u64> {
    event.get("number").and_then(Value::as_u64)
}

/// The numbers of a socket's frames, up to the first that has none.
async fn numbers(socket: &mut Socket) -> Result<Vec<u64>> {
    let mut numbers = Vec::new();
    while let Some(number) = number_of(&socket.json().await?) {
        numbers.push(number);
    }
    Ok(numbers)
}
