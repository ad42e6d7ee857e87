//! Finding in which groups sessions are under their own names.

use fanfare_protocol::{ChannelName, GroupName};
use redis::{FromRedisValue as _, Pipeline, Value};

use super::Shared;
use super::line::Line;
use super::members::ask;
use crate::redis::glob::escaped;

/// Keys that a host is asked for at once.
const KEYS: usize = 1000;
/// Questions of one pipeline.
const QUESTIONS: usize = 2000;

/// A session's own name in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) host: usize,
    pub(super) group: GroupName,
    pub(super) channel: ChannelName,
}

impl Found {
    /// As the bookkeeping says it.
    fn note(&self) -> String {
        format!("{} {}", self.group, self.channel)
    }
}

/// Looks through all groups for sessions. A host that does not answer has none.
pub(super) async fn search(shared: &Shared, channels: &[ChannelName]) -> Vec<Found> {
    let mut found = Vec::new();
    for (host, line) in shared.lines.iter().enumerate() {
        if let Err(reason) = search_host(shared, line, host, channels, &mut found).await {
            tracing::warn!(
                reason,
                "the groups of a host could not be searched for sessions"
            );
        }
    }
    found
}

/// Writes down which sessions are in which groups, so that their names go with this node.
pub(super) async fn note(shared: &Shared, found: &[Found]) {
    let notes = shared.keys.members(&shared.keys.node().to_string());
    for (host, line) in shared.lines.iter().enumerate() {
        let mut commands = Pipeline::new();
        for one in found.iter().filter(|one| one.host == host) {
            commands.cmd("SADD").arg(&notes).arg(one.note());
        }
        if commands.is_empty() {
            continue;
        }
        if let Err(reason) = ask(line, &commands).await {
            tracing::warn!(
                reason,
                "sessions that others added to groups could not be noted"
            );
        }
    }
}

/// Takes names out of groups. What fails is found again with the next message.
pub(super) async fn take_out(shared: &Shared, found: &[Found]) {
    let notes = shared.keys.members(&shared.keys.node().to_string());
    for (host, line) in shared.lines.iter().enumerate() {
        let mut commands = Pipeline::new();
        for one in found.iter().filter(|one| one.host == host) {
            let key = shared.keys.group(one.group.as_str());
            commands.cmd("ZREM").arg(key).arg(one.channel.as_str());
            commands.cmd("SREM").arg(&notes).arg(one.note());
        }
        if commands.is_empty() {
            continue;
        }
        if let Err(reason) = ask(line, &commands).await {
            tracing::warn!(reason, "names of sessions could not be taken out of groups");
        }
    }
}

async fn search_host(
    shared: &Shared,
    line: &Line,
    host: usize,
    channels: &[ChannelName],
    found: &mut Vec<Found>,
) -> Result<(), String> {
    let pattern = format!("{}*", escaped(&shared.keys.groups()));
    let mut cursor = 0_u64;
    loop {
        let mut scan = Pipeline::new();
        scan.cmd("SCAN").arg(cursor).arg("MATCH").arg(&pattern);
        scan.arg("COUNT").arg(KEYS);
        let page = ask(line, &scan).await?.pop().unwrap_or(Value::Nil);
        let (next, keys) =
            <(u64, Vec<Vec<u8>>)>::from_redis_value(page).map_err(|error| error.to_string())?;
        let groups: Vec<_> = keys
            .iter()
            .filter_map(|key| group_of(shared, key))
            .collect();
        for some in groups.chunks((QUESTIONS / channels.len().max(1)).max(1)) {
            look_up(shared, line, host, (some, channels), found).await?;
        }
        if next == 0 {
            return Ok(());
        }
        cursor = next;
    }
}

async fn look_up(
    shared: &Shared,
    line: &Line,
    host: usize,
    (groups, channels): (&[GroupName], &[ChannelName]),
    found: &mut Vec<Found>,
) -> Result<(), String> {
    let pairs: Vec<_> = groups
        .iter()
        .flat_map(|group| channels.iter().map(move |channel| (group, channel)))
        .collect();
    let mut commands = Pipeline::new();
    for (group, channel) in &pairs {
        let key = shared.keys.group(group.as_str());
        commands.cmd("ZSCORE").arg(key).arg(channel.as_str());
    }
    // Not `ask`: a key that is no sorted set is somebody else's, and no group.
    let scores = line
        .ask(&commands)
        .await
        .map_err(|error| error.to_string())?;
    for ((group, channel), score) in pairs.into_iter().zip(scores) {
        if !matches!(score, Value::Nil | Value::ServerError(_)) {
            found.push(Found {
                host,
                group: group.clone(),
                channel: channel.clone(),
            });
        }
    }
    Ok(())
}

fn group_of(shared: &Shared, key: &[u8]) -> Option<GroupName> {
    let key = std::str::from_utf8(key).ok()?;
    let group = key.strip_prefix(&shared.keys.groups())?;
    GroupName::parse(group).ok()
}
