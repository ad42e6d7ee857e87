//! This node's memberships on one host: written, renewed, and taken back.

use fanfare_protocol::NameSet;
use parking_lot::Mutex;
use redis::{Pipeline, Value};

use crate::Subscription;
use crate::redis::connection::subscriptions::Round;
use crate::redis::core::host::commands::CommandConnection;
use crate::redis::core::keys::spelled;
use crate::redis::core::shared::Shared;

/// Memberships of one pipeline.
const BATCH: usize = 500;

/// What the host has of this node, as far as it has acknowledged it. Outlives connections: what is
/// not wanted any more when the host is back must be taken out of it.
#[derive(Default)]
pub(in crate::redis::core) struct MembershipStore {
    known: Mutex<NameSet<Subscription>>,
    /// Held while memberships are written, so that a renewal does not bring back what is taken out
    /// at the same time.
    turn: tokio::sync::Mutex<()>,
}

/// How memberships are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::redis::core) enum Write {
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

impl MembershipStore {
    /// Writes a difference, and notes it.
    pub(in crate::redis::core) async fn apply(
        &self,
        shared: &Shared,
        server: &CommandConnection,
        round: &Round,
    ) -> Result<(), String> {
        self.take_out(shared, server, &round.unsubscribe).await?;
        self.put_in(shared, server, &round.subscribe, Write::All)
            .await
    }

    /// A new connection: takes out what is not wanted any more, and writes what is. `lost`: the
    /// host has forgotten everything.
    pub(in crate::redis::core) async fn restore(
        &self,
        shared: &Shared,
        server: &CommandConnection,
        round: &Round,
        lost: bool,
    ) -> Result<(), String> {
        let wanted: NameSet<&Subscription> = round.subscribe.iter().collect();
        let (kept, gone): (Vec<_>, Vec<_>) = {
            let known = self.known.lock();
            let known = known.iter().cloned();
            known.partition(|it| wanted.contains(it))
        };
        self.take_out(shared, server, &gone).await?;
        let how = if lost { Write::All } else { Write::Kept };
        self.put_in(shared, server, &kept, how).await?;
        let kept: NameSet<_> = kept.into_iter().collect();
        let new: Vec<_> = (round.subscribe.iter())
            .filter(|it| !kept.contains(it))
            .cloned()
            .collect();
        self.put_in(shared, server, &new, Write::All).await
    }

    /// Writes all that the host has, or should have, again.
    pub(in crate::redis::core) async fn renew(
        &self,
        shared: &Shared,
        server: &CommandConnection,
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
            self.write(shared, server, &still, how).await?;
        }
        Ok(())
    }

    /// Forgets everything: the host is cleared of this node by its notes.
    pub(in crate::redis::core) fn clear(&self) {
        self.known.lock().clear();
    }

    async fn put_in(
        &self,
        shared: &Shared,
        server: &CommandConnection,
        subscriptions: &[Subscription],
        how: Write,
    ) -> Result<(), String> {
        for some in subscriptions.chunks(BATCH) {
            let _turn = self.turn.lock().await;
            self.write(shared, server, some, how).await?;
        }
        Ok(())
    }

    /// To be called with the turn.
    async fn write(
        &self,
        shared: &Shared,
        server: &CommandConnection,
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
            Write::Kept => self.find_lost(server, &notes, &mut entries).await?,
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
            commands.arg(server.now()).arg(&entry.member);
            commands.cmd("EXPIRE").arg(&entry.key).arg(lifetime);
        }
        ask(server, &commands).await?;
        self.known.lock().extend(some.iter().cloned());
        Ok(())
    }

    /// Finds which memberships nobody can have taken back: the host has forgotten them with their
    /// notes. They are noted again, and unknown until they are written.
    async fn find_lost(
        &self,
        server: &CommandConnection,
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
        let noted = ask(server, &commands).await?;
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
        server: &CommandConnection,
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
            ask(server, &commands).await?;
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
        Subscription::Group(group) => (group, keys.member(group), false),
        Subscription::SessionInGroup(member) => {
            let (group, channel) = &**member;
            (group, channel.as_str().to_owned(), true)
        }
        Subscription::Channel(_) => return None,
    };
    Some(Entry {
        key: keys.group(group),
        note: format!("{} {member}", spelled(group)),
        member,
        revocable,
    })
}

/// Sends commands of which none may fail.
pub(in crate::redis::core) async fn ask(
    server: &CommandConnection,
    commands: &Pipeline,
) -> Result<Vec<Value>, String> {
    let answers = server
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

pub(in crate::redis::core) fn seconds(time: std::time::Duration) -> u64 {
    time.as_secs().max(1)
}
