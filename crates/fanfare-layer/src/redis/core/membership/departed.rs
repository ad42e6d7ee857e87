//! Nodes that are gone, and what is still sent to them.
//!
//! A sender that kept the channel of a session does not know that its node is gone. What it sends
//! would wait in a lane that nobody reads, until the lane is full and the sender gets an error as if
//! the receiver were slow. So the other nodes go on emptying the lanes for a while.

use redis::{FromRedisValue as _, Pipeline, Value};

use super::store::ask;
use crate::redis::core::host::commands::CommandConnection;
use crate::redis::core::shared::Shared;

/// For how long the lanes of a node that is gone are emptied, in seconds.
const WHILE: u32 = 3600;
/// Of how many nodes: the lanes of those that have been gone for longest are left to expire.
const MOST: usize = 200;
/// For how long, in seconds, no other node empties the lanes: one does it for all.
const TURN: u64 = 1;

/// Adds to a pipeline, which takes the node out of the nodes, that it is gone since `now`.
pub(super) fn note(commands: &mut Pipeline, shared: &Shared, now: f64, node: &str) {
    let departed = shared.keys.departed();
    commands.cmd("ZADD").arg(&departed).arg(now).arg(node);
    commands.cmd("EXPIRE").arg(departed).arg(WHILE);
}

/// Adds to a pipeline that this node is there: it may have been asleep and taken for dead.
pub(super) fn forget_own(commands: &mut Pipeline, shared: &Shared) {
    let own = shared.keys.node().to_string();
    commands.cmd("ZREM").arg(shared.keys.departed()).arg(own);
}

/// Empties the lanes of the nodes that are gone. A node that gives signs of life is none of them.
pub(super) async fn empty_lanes(
    shared: &Shared,
    server: &CommandConnection,
    alive: &[(String, f64)],
) -> Result<(), String> {
    let keys = &shared.keys;
    let departed = keys.departed();
    let mut commands = Pipeline::new();
    commands
        .cmd("SET")
        .arg(keys.emptying())
        .arg(keys.node().to_string())
        .arg("NX")
        .arg("EX")
        .arg(TURN);
    commands
        .cmd("ZREMRANGEBYSCORE")
        .arg(&departed)
        .arg("-inf")
        .arg(server.now() - f64::from(WHILE));
    commands.cmd("ZRANGE").arg(&departed).arg(0).arg(-1);
    let mut answers = ask(server, &commands).await?;
    let names = answers.pop().unwrap_or(Value::Nil);
    if matches!(answers.first(), None | Some(Value::Nil)) {
        return Ok(());
    }
    let names = Vec::<String>::from_redis_value(names);
    let mut names = names.map_err(|error| error.to_string())?;
    names.retain(|name| alive.iter().all(|(node, _)| node != name));
    let excess = names.len().saturating_sub(MOST);
    let oldest: Vec<_> = names.drain(..excess).collect();
    let lanes: Vec<_> = names.iter().flat_map(|name| keys.lanes_of(name)).collect();
    let mut commands = Pipeline::new();
    for lane in &lanes {
        commands.cmd("ZCARD").arg(lane);
    }
    if !lanes.is_empty() {
        commands.cmd("DEL").arg(&lanes);
    }
    if !oldest.is_empty() {
        commands.cmd("ZREM").arg(&departed).arg(&oldest);
    }
    if lanes.is_empty() && oldest.is_empty() {
        return Ok(());
    }
    let answers = ask(server, &commands).await?;
    let counts = answers.into_iter().take(lanes.len());
    let unread: u64 = counts
        .map(|count| u64::from_redis_value(count).unwrap_or(0))
        .sum();
    shared.metrics.dropped.closed.inc_by(unread);
    Ok(())
}
