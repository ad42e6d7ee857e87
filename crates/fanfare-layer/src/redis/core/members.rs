//! This node's memberships on one host: written, renewed, and taken back.

use parking_lot::Mutex;
use redis::{Pipeline, Value};
use rustc_hash::FxHashSet;

use super::Shared;
use super::line::Line;
use crate::Subscription;
use crate::redis::subscriptions::Round;

/// Memberships of one pipeline.
const BATCH: usize = 500;

/// What the host has of this node, as far as it has acknowledged it. Outlives connections: what is
/// not wanted any more when the host is back must be taken out of it.
#[derive(Default)]
pub(super) struct Roll {
    known: Mutex<FxHashSet<Subscription>>,
    /// Held while memberships are written, so that a renewal does not bring back what is taken out
    /// at the same time.
    turn: tokio::sync::Mutex<()>,
}

/// How memberships are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Write {
    /// All of them, whether the host has them or not.
    All,
    /// A session that somebody else took out of a group stays out. One that is in no note either was
    /// lost, as by a failover to a replica that lagged, and is written again.
    Kept,
}

/// One membership as Redis has it.
struct Entry {
    /// The group's zset.
    key: String,
    member: String,
    /// Whether others may take it back.
    revocable: bool,
    /// What the bookkeeping says.
    note: String,
}

impl Roll {
    /// Writes a difference, and notes it.
    pub(super) async fn apply(
        &self,
        shared: &Shared,
        line: &Line,
        round: &Round,
    ) -> Result<(), String> {
        self.take_out(shared, line, &round.unsubscribe).await?;
        self.put_in(shared, line, &round.subscribe, Write::All)
            .await
    }

    /// A new connection: takes out what is not wanted any more, and writes what is. `lost`: the
    /// host has forgotten everything.
    pub(super) async fn restore(
        &self,
        shared: &Shared,
        line: &Line,
        round: &Round,
        lost: bool,
    ) -> Result<(), String> {
        let wanted: FxHashSet<&Subscription> = round.subscribe.iter().collect();
        let (kept, gone): (Vec<_>, Vec<_>) = {
            let known = self.known.lock();
            let known = known.iter().cloned();
            known.partition(|it| wanted.contains(it))
        };
        self.take_out(shared, line, &gone).await?;
        let how = if lost { Write::All } else { Write::Kept };
        self.put_in(shared, line, &kept, how).await?;
        let kept: FxHashSet<_> = kept.into_iter().collect();
        let new: Vec<_> = (round.subscribe.iter())
            .filter(|it| !kept.contains(it))
            .cloned()
            .collect();
        self.put_in(shared, line, &new, Write::All).await
    }

    /// Writes all that the host has, or should have, again.
    pub(super) async fn renew(
        &self,
        shared: &Shared,
        line: &Line,
        how: Write,
    ) -> Result<(), String> {
        let known: Vec<_> = self.known.lock().iter().cloned().collect();
        for some in known.chunks(BATCH) {
            let _turn = self.turn.lock().await;
            let still: Vec<_> = {
                let known = self.known.lock();
                some.iter()
                    .filter(|it| known.contains(*it))
                    .cloned()
                    .collect()
            };
            self.write(shared, line, &still, how).await?;
        }
        Ok(())
    }

    /// Forgets everything: the host is cleared of this node by its notes.
    pub(super) fn clear(&self) {
        self.known.lock().clear();
    }

    async fn put_in(
        &self,
        shared: &Shared,
        line: &Line,
        subscriptions: &[Subscription],
        how: Write,
    ) -> Result<(), String> {
        for some in subscriptions.chunks(BATCH) {
            let _turn = self.turn.lock().await;
            self.write(shared, line, some, how).await?;
        }
        Ok(())
    }

    /// To be called with the turn.
    async fn write(
        &self,
        shared: &Shared,
        line: &Line,
        some: &[Subscription],
        how: Write,
    ) -> Result<(), String> {
        let notes = shared.keys.members(&shared.keys.node().to_string());
        let lifetime = seconds(shared.options.group_expiry);
        let mut entries: Vec<_> = (some.iter())
            .filter_map(|it| Some((it, entry(shared, it)?)))
            .collect();
        match how {
            Write::All => (entries.iter_mut()).for_each(|(_, entry)| entry.revocable = false),
            Write::Kept => self.find_lost(line, &notes, &mut entries).await?,
        }
        let mut commands = Pipeline::new();
        for (_, entry) in entries {
            // Noted first: what stands in a group and in no note would stay there if this
            // node died now.
            commands.cmd("SADD").arg(&notes).arg(&entry.note);
            commands.cmd("ZADD").arg(&entry.key);
            if entry.revocable {
                commands.arg("XX");
            }
            commands.arg(line.now()).arg(&entry.member);
            commands.cmd("EXPIRE").arg(&entry.key).arg(lifetime);
        }
        ask(line, &commands).await?;
        self.known.lock().extend(some.iter().cloned());
        Ok(())
    }

    /// Finds which memberships nobody can have taken back: the host has forgotten them with their
    /// notes. They are noted again, and unknown until they are written.
    async fn find_lost(
        &self,
        line: &Line,
        notes: &str,
        entries: &mut [(&Subscription, Entry)],
    ) -> Result<(), String> {
        let mut revocable: Vec<_> = (entries.iter_mut())
            .filter(|(_, entry)| entry.revocable)
            .collect();
        let mut commands = Pipeline::new();
        for (_, entry) in &revocable {
            commands.cmd("SADD").arg(notes).arg(&entry.note);
        }
        let noted = ask(line, &commands).await?;
        let mut known = self.known.lock();
        for ((subscription, entry), noted) in revocable.iter_mut().zip(noted) {
            if noted == Value::Int(1) {
                entry.revocable = false;
                known.remove(*subscription);
            }
        }
        Ok(())
    }

    async fn take_out(
        &self,
        shared: &Shared,
        line: &Line,
        subscriptions: &[Subscription],
    ) -> Result<(), String> {
        let notes = shared.keys.members(&shared.keys.node().to_string());
        for some in subscriptions.chunks(BATCH) {
            let _turn = self.turn.lock().await;
            let mut commands = Pipeline::new();
            for entry in some.iter().filter_map(|it| entry(shared, it)) {
                commands.cmd("ZREM").arg(&entry.key).arg(&entry.member);
                commands.cmd("SREM").arg(&notes).arg(&entry.note);
            }
            ask(line, &commands).await?;
            let mut known = self.known.lock();
            for one in some {
                known.remove(one);
            }
        }
        Ok(())
    }
}

/// A normal channel needs no membership: its messages wait for whoever asks.
fn entry(shared: &Shared, subscription: &Subscription) -> Option<Entry> {
    let keys = &shared.keys;
    let (group, member, revocable) = match subscription {
        Subscription::Group(group) => (group, keys.member(group.as_str()), false),
        Subscription::SessionInGroup { group, channel } => {
            (group, channel.as_str().to_owned(), true)
        }
        Subscription::Channel(_) => return None,
    };
    Some(Entry {
        key: keys.group(group.as_str()),
        note: format!("{group} {member}"),
        member,
        revocable,
    })
}

/// Sends commands of which none may fail.
pub(super) async fn ask(line: &Line, commands: &Pipeline) -> Result<Vec<Value>, String> {
    let answers = line
        .ask(commands)
        .await
        .map_err(|error| error.to_string())?;
    match answers
        .iter()
        .find(|it| matches!(it, Value::ServerError(_)))
    {
        Some(Value::ServerError(error)) => Err(error.to_string()),
        _ => Ok(answers),
    }
}

pub(super) fn seconds(time: std::time::Duration) -> u64 {
    time.as_secs().max(1)
}

#[cfg(test)]
mod tests {
    use fanfare_protocol::GroupName;
    use fanfare_rig::RedisServer;

    use super::*;
    use crate::redis::core::intake::rig::{LONG, Process};

    #[tokio::test]
    async fn a_renewal_does_not_bring_back_what_is_taken_out_meanwhile() -> anyhow::Result<()> {
        let server = RedisServer::start()?;
        let process = Process::start(&[&server], 1, LONG).await?;
        let (shared, line) = (&*process.shared, &process.shared.lines[0]);
        let group = |number| GroupName::parse(&format!("g{number}"));
        let groups = (0..5 * BATCH).map(|number| group(number).map(Subscription::Group));
        let groups: Vec<_> = groups.collect::<Result<_, _>>()?;
        let roll = Roll::default();
        let written = roll.put_in(shared, line, &groups, Write::All).await;
        assert_eq!(written, Ok(()));
        let renewed = roll.renew(shared, line, Write::Kept);
        let taken_out = roll.take_out(shared, line, &groups);
        assert_eq!(tokio::join!(renewed, taken_out), (Ok(()), Ok(())));
        assert!(roll.known.lock().is_empty());
        let left: Vec<String> = redis::from_redis_value(server.cli(&["KEYS", "*"])?)?;
        assert_eq!(left, [""; 0]);
        Ok(())
    }
}
