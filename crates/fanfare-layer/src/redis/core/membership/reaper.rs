//! Taking a node out of a host: a dead one, or this one when it goes.

use redis::{FromRedisValue as _, Pipeline, Value};

use super::departed;
use super::store::ask;
use crate::redis::core::host::commands::CommandConnection;
use crate::redis::core::keys::non_local;
use crate::redis::core::shared::Shared;

/// Notes of one pipeline.
const BATCH: usize = 500;
/// How long one node has for clearing away before another may try, in seconds.
const TURN: u64 = 10;

/// Takes a dead node's memberships out of the groups and deletes what waits for it. One node at a
/// time does it; where it stops half-way, another goes on. `sign`: its last sign of life.
pub(in crate::redis::core) async fn after(
    shared: &Shared,
    server: &CommandConnection,
    node: &str,
    sign: f64,
) -> Result<(), String> {
    let keys = &shared.keys;
    let mut commands = Pipeline::new();
    commands
        .cmd("SET")
        .arg(keys.cleaning(node))
        .arg(keys.node().to_string())
        .arg("NX")
        .arg("EX")
        .arg(TURN);
    commands.cmd("ZSCORE").arg(keys.nodes()).arg(node);
    match ask(server, &commands).await?.as_slice() {
        [Value::Nil, _] => return Ok(()),
        // It is alive, or another has cleared away since it was found to be silent.
        [_, last] if f64::from_redis_value_ref(last).ok() != Some(sign) => {
            return end_turn(shared, server, node).await;
        }
        _ => {}
    }
    let memberships = take_out_all(shared, server, node).await?;
    let lanes = keys.lanes_of(node);
    let mut commands = Pipeline::new();
    for lane in &lanes {
        commands.cmd("ZCARD").arg(lane);
    }
    commands.cmd("DEL").arg(&lanes);
    commands.cmd("ZREM").arg(keys.nodes()).arg(node);
    departed::note(&mut commands, shared, server.now(), node);
    // Last: where this is missing, a node that was only asleep adds all of itself again.
    let (canary, _) = keys.canary();
    commands.cmd("ZREM").arg(canary).arg(keys.canary_of(node));
    let unread = sum(ask(server, &commands).await?, lanes.len());
    end_turn(shared, server, node).await?;
    shared.metrics.cleaned.inc();
    shared.metrics.dropped.closed.inc_by(unread);
    tracing::warn!(
        node,
        memberships,
        unread,
        "cleared away after a node that gave no sign of life"
    );
    Ok(())
}

/// Lets others clear away. To be called when the node is among the nodes no more.
async fn end_turn(shared: &Shared, server: &CommandConnection, node: &str) -> Result<(), String> {
    let mut commands = Pipeline::new();
    commands.cmd("DEL").arg(shared.keys.cleaning(node));
    ask(server, &commands).await.map(drop)
}

/// Takes out and deletes what this node has on the host; answers how many messages still waited
/// for it.
pub(in crate::redis::core) async fn leave(
    shared: &Shared,
    server: &CommandConnection,
) -> Result<u64, String> {
    let keys = &shared.keys;
    let own = keys.node().to_string();
    take_out_all(shared, server, &own).await?;
    let mut commands = Pipeline::new();
    for lane in keys.lanes() {
        commands.cmd("ZCARD").arg(lane);
    }
    commands
        .cmd("DEL")
        .arg(keys.lanes())
        .arg(keys.members(&own))
        .arg(keys.wakeup());
    commands.cmd("ZREM").arg(keys.nodes()).arg(&own);
    let (canary, member) = keys.canary();
    commands.cmd("ZREM").arg(canary).arg(member);
    commands.cmd("ZCARD").arg(keys.nodes());
    let mut answers = ask(server, &commands).await?;
    let others = answers.pop().map(u64::from_redis_value);
    let mut commands = Pipeline::new();
    if matches!(others, Some(Ok(0))) {
        // Nobody is there to empty lanes, and the last node leaves nothing in Redis.
        let nobodys = [keys.departed(), keys.emptying()];
        commands.cmd("DEL").arg(&nobodys);
    } else {
        departed::note(&mut commands, shared, server.now(), &own);
    }
    ask(server, &commands).await?;
    Ok(sum(answers, keys.lanes().len()))
}

/// The sum of the first answers, which are numbers.
fn sum(answers: Vec<Value>, count: usize) -> u64 {
    let numbers = answers.into_iter().take(count);
    numbers
        .map(|it| u64::from_redis_value(it).unwrap_or(0))
        .sum()
}

/// Takes out of the groups what is noted of a node; answers how much that was.
async fn take_out_all(
    shared: &Shared,
    server: &CommandConnection,
    node: &str,
) -> Result<usize, String> {
    let mut memberships = 0;
    loop {
        let notes = notes(shared, server, node).await?;
        if notes.is_empty() {
            return Ok(memberships);
        }
        memberships += notes.len();
        take_out(shared, server, node, &notes).await?;
    }
}

async fn notes(
    shared: &Shared,
    server: &CommandConnection,
    node: &str,
) -> Result<Vec<String>, String> {
    let mut commands = Pipeline::new();
    commands
        .cmd("SRANDMEMBER")
        .arg(shared.keys.members(node))
        .arg(BATCH);
    let notes = ask(server, &commands).await?.pop().unwrap_or(Value::Nil);
    Vec::from_redis_value(notes).map_err(|error| error.to_string())
}

async fn take_out(
    shared: &Shared,
    server: &CommandConnection,
    node: &str,
    notes: &[String],
) -> Result<(), String> {
    let keys = &shared.keys;
    let mut commands = Pipeline::new();
    for note in notes {
        // Only what is that node's: a note that somebody else wrote must not harm others.
        if let Some((group, member)) = note.split_once(' ')
            && keys
                .lanes_of(node)
                .contains(&keys.channel(non_local(member)))
        {
            commands
                .cmd("ZREM")
                .arg(keys.spelled_group(group))
                .arg(member);
        }
    }
    commands.cmd("SREM").arg(keys.members(node)).arg(notes);
    ask(server, &commands).await.map(drop)
}
