//! Signs of life: this node gives its own, and clears away after nodes that give none.

use fanfare_protocol::NameMap;
use std::mem;
use std::time::{Duration, Instant};

use redis::{FromRedisValue as _, Pipeline, Value};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::store::{MembershipStore, Write, ask, seconds};
use super::{departed, reaper};
use crate::redis::core::host::commands::CommandConnection;
use crate::redis::core::shared::Shared;
use crate::redis::hosts::role::{RoleCheck, question};

const BEAT: Duration = Duration::from_secs(2);
/// A node that gave no sign for this long is dead.
const SILENCE: Duration = Duration::from_secs(15);
/// Memberships are renewed at least this often, however long they last.
const RENEWAL: Duration = Duration::from_secs(300);

/// Beats until the connection is lost; says why.
pub(in crate::redis::core) async fn run(
    shared: &Shared,
    server: &CommandConnection,
    memberships: &MembershipStore,
    role: &RoleCheck,
) -> String {
    let renewal = (shared.options.group_expiry / 4).min(RENEWAL);
    let pace = BEAT.min(renewal).max(Duration::from_millis(100));
    // Apart: the rest may take long, with many memberships.
    tokio::select! {
        reason = live(shared, server, role, pace) => reason,
        reason = watch(shared, server, memberships, (pace, renewal)) => reason,
    }
}

/// Gives signs of life.
async fn live(
    shared: &Shared,
    server: &CommandConnection,
    role: &RoleCheck,
    pace: Duration,
) -> String {
    let keys = &shared.keys;
    let own = keys.node().to_string();
    let mut beats = every(pace);
    loop {
        beats.tick().await;
        let mut commands = Pipeline::new();
        commands
            .cmd("ZADD")
            .arg(keys.nodes())
            .arg(server.now())
            .arg(&own);
        commands
            .cmd("EXPIRE")
            .arg(keys.members(&own))
            .arg(seconds(shared.options.group_expiry));
        if let Err(reason) = ask(server, &commands).await {
            return reason;
        }
        // A replica may be configured to take writes, which it passes on to nobody.
        if let Err(reason) = still_master(server, role).await {
            return reason;
        }
    }
}

async fn still_master(server: &CommandConnection, role: &RoleCheck) -> Result<(), String> {
    let mut commands = Pipeline::new();
    commands.add_command(question());
    let answers = server.ask(&commands).await;
    let answers = answers.map_err(|error| error.to_string())?;
    role.judge(answers.first().unwrap_or(&Value::Nil))
}

/// Looks after this node's memberships and after the other nodes.
async fn watch(
    shared: &Shared,
    server: &CommandConnection,
    memberships: &MembershipStore,
    (pace, renewal): (Duration, Duration),
) -> String {
    let mut renewed = Instant::now();
    let mut others = Others::default();
    let mut looks = every(pace);
    loop {
        looks.tick().await;
        let due = renewed.elapsed() >= renewal;
        if due {
            renewed = Instant::now();
        }
        if let Err(reason) = look(shared, server, memberships, due).await {
            return reason;
        }
        if let Err(reason) = clear_away(shared, server, &mut others).await {
            return reason;
        }
    }
}

/// Ticks that are missed stay so.
fn every(pace: Duration) -> Interval {
    let mut ticks = interval(pace);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn look(
    shared: &Shared,
    server: &CommandConnection,
    memberships: &MembershipStore,
    renew: bool,
) -> Result<(), String> {
    read_clock(server).await?;
    if is_forgotten(shared, server).await? {
        shared.metrics.restored.inc();
        tracing::warn!("redis has lost this node's memberships, adding them again");
        announce(shared, server).await?;
        memberships.renew(shared, server, Write::All).await?;
    } else if renew {
        announce(shared, server).await?;
        memberships.renew(shared, server, Write::Kept).await?;
    }
    Ok(())
}

async fn clear_away(
    shared: &Shared,
    server: &CommandConnection,
    others: &mut Others,
) -> Result<(), String> {
    let mut commands = Pipeline::new();
    let nodes = shared.keys.nodes();
    commands
        .cmd("ZRANGE")
        .arg(nodes)
        .arg(0)
        .arg(-1)
        .arg("WITHSCORES");
    let listed = ask(server, &commands).await?.pop().unwrap_or(Value::Nil);
    let listed = Vec::<(String, f64)>::from_redis_value(listed);
    let mut listed = listed.map_err(|error| error.to_string())?;
    departed::empty_lanes(shared, server, &listed).await?;
    let own = shared.keys.node().to_string();
    listed.retain(|(node, _)| *node != own);
    for (node, sign) in others.silent(listed) {
        reaper::after(shared, server, &node, sign).await?;
    }
    Ok(())
}

/// What other nodes' last signs of life were, as this one has seen them since it is connected, and
/// for how long there was no other. What clocks say does not count: after an outage of the host all
/// signs are old, and all nodes alive.
#[derive(Default)]
struct Others {
    seen: NameMap<String, (f64, Duration)>,
    looked: Option<Instant>,
}

impl Others {
    /// Takes up what all of them say now; answers who has been silent for too long.
    fn silent(&mut self, signs: Vec<(String, f64)>) -> Vec<(String, f64)> {
        // Time that this node or the host slept through proves nothing.
        let since = self
            .looked
            .replace(Instant::now())
            .map_or(Duration::ZERO, |it| it.elapsed());
        let since = since.min(BEAT * 2);
        let mut seen = mem::take(&mut self.seen);
        for (node, sign) in signs {
            let silence = match seen.remove(&node) {
                Some((last, silence)) if last == sign => silence + since,
                _ => Duration::ZERO,
            };
            self.seen.insert(node, (sign, silence));
        }
        let silent = self
            .seen
            .iter()
            .filter(|(_, (_, silence))| *silence >= SILENCE);
        silent
            .map(|(node, (sign, _))| (node.clone(), *sign))
            .collect()
    }
}

/// Puts this node onto the host: what a beat looks for and others listen to.
pub(in crate::redis::core) async fn announce(
    shared: &Shared,
    server: &CommandConnection,
) -> Result<(), String> {
    let (canary, member) = shared.keys.canary();
    let lifetime = seconds(shared.options.group_expiry);
    let mut commands = Pipeline::new();
    // First: what is found of a node that is not among the nodes stays for ever.
    let own = shared.keys.node().to_string();
    commands
        .cmd("ZADD")
        .arg(shared.keys.nodes())
        .arg(server.now())
        .arg(own);
    commands
        .cmd("ZADD")
        .arg(&canary)
        .arg(server.now())
        .arg(member);
    commands.cmd("EXPIRE").arg(&canary).arg(lifetime);
    departed::forget_own(&mut commands, shared);
    ask(server, &commands).await.map(drop)
}

/// Asks the host for its time: scores are compared with it, not with this machine's clock.
pub(in crate::redis::core) async fn read_clock(server: &CommandConnection) -> Result<(), String> {
    let mut commands = Pipeline::new();
    commands.cmd("TIME");
    let answers = ask(server, &commands).await?;
    let time = answers
        .into_iter()
        .next()
        .map(<(i64, i64)>::from_redis_value);
    let Some(Ok((seconds, micros))) = time else {
        return Err("redis did not say its time".into());
    };
    server.set_clock(seconds, micros);
    Ok(())
}

/// Whether the host does not know this node, because it was restarted, flushed or failed over.
pub(in crate::redis::core) async fn is_forgotten(
    shared: &Shared,
    server: &CommandConnection,
) -> Result<bool, String> {
    let (canary, member) = shared.keys.canary();
    let mut commands = Pipeline::new();
    commands.cmd("ZSCORE").arg(canary).arg(member);
    let answers = ask(server, &commands).await?;
    Ok(matches!(answers.first(), None | Some(Value::Nil)))
}

/// For how long, in seconds, this node has given no sign of life; not at all where it never gave one.
pub(in crate::redis::core) async fn absence(
    shared: &Shared,
    server: &CommandConnection,
) -> Result<f64, String> {
    let mut commands = Pipeline::new();
    let own = shared.keys.node().to_string();
    commands.cmd("ZSCORE").arg(shared.keys.nodes()).arg(own);
    let answers = ask(server, &commands).await?;
    let last = answers.into_iter().next().map(f64::from_redis_value);
    Ok(last.map_or(0.0, |last| last.map_or(0.0, |last| server.now() - last)))
}
