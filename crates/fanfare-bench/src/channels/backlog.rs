//! Events that unmodified Python has written, kept in the bytes that it wrote, and given to a
//! receiver all at once.
//!
//! Python writes more slowly than a node takes, so its pace must not be what is measured. In the
//! core format the producers write into a group of their own prefix that has the receivers' names
//! in it; the sorted set that fills up for a receiver is copied for each run, and renamed to the
//! receiver's own key when the run begins. In pub/sub the messages are recorded from the producers'
//! channel; for a run the receiver is stopped, they are published to it, and it goes on.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use redis::Connection;
use serde_json::json;

use super::python::Python;
use super::sides::Backend;
use super::{Bench, GROUP, STALL};
use crate::children::Stopped;
use crate::loader::payload::TEXT_BYTES;
use crate::redis_server::RedisServer;

/// The producers' prefix.
const FILL_PREFIX: &str = "fill";
/// A copy of a key that is about to be renamed.
const COPY: &str = "copy";
const FILL_LIMIT: Duration = Duration::from_secs(300);
/// Commands that are written before their answers are read.
const BATCH: usize = 1000;

/// A process that is given the backlog.
#[derive(Debug)]
pub(super) struct Receiver {
    /// Its layer's prefix.
    pub(super) prefix: &'static str,
    /// Its name in the group, in the core format.
    pub(super) member: String,
    /// Its process id.
    pub(super) pid: u32,
}

/// The events, as often as they are needed.
pub(super) struct Backlog {
    connection: Connection,
    kept: Kept,
}

enum Kept {
    /// A sorted set for each receiver.
    Keys,
    /// What was published.
    Messages(Vec<Vec<u8>>),
}

impl Backlog {
    /// Has Python write `bench.events` events for the receivers.
    ///
    /// # Errors
    /// A producer fails, or not all events are there.
    pub(super) fn fill(
        bench: &Bench,
        redis: &RedisServer,
        backend: Backend,
        receivers: [&Receiver; 2],
    ) -> anyhow::Result<Self> {
        let mut connection = redis.connect()?;
        let layer = backend.patient_layer(&redis.url(), FILL_PREFIX);
        let start = |_| Python::start(bench, "producer.py", &layer);
        let first = bench.cores.on_server_core(|| start(()))?;
        let mut producers = [first, start(())?];
        let kept = match backend {
            Backend::Core => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
                for receiver in receivers {
                    redis::cmd("ZADD")
                        .arg(group_key(FILL_PREFIX))
                        .arg(now)
                        .arg(&receiver.member)
                        .exec(&mut connection)?;
                }
                write(&mut producers, bench.events)?;
                finish(&mut producers)?;
                for receiver in receivers {
                    let key = receiver.key(FILL_PREFIX)?;
                    let count: usize = redis::cmd("ZCARD").arg(&key).query(&mut connection)?;
                    ensure!(count == bench.events, "{key} has {count} events");
                }
                Kept::Keys
            }
            Backend::Pubsub => {
                let mut recorder = redis.connect()?;
                let mut channel = recorder.as_pubsub();
                channel.subscribe(channel_name(FILL_PREFIX))?;
                channel.set_read_timeout(Some(STALL))?;
                write(&mut producers, bench.events)?;
                let messages: Result<Vec<_>, redis::RedisError> = (0..bench.events)
                    .map(|_| channel.get_message()?.get_payload())
                    .collect();
                finish(&mut producers)?;
                Kept::Messages(messages.context("an event of the producers is missing")?)
            }
        };
        Ok(Self { connection, kept })
    }

    /// Gives all events to a receiver. Answers when it could begin to take them.
    ///
    /// # Errors
    /// Redis fails, or the receiver is not there.
    pub(super) fn give(&mut self, receiver: &Receiver) -> anyhow::Result<Instant> {
        match &self.kept {
            Kept::Keys => {
                redis::cmd("COPY")
                    .arg(receiver.key(FILL_PREFIX)?)
                    .arg(COPY)
                    .exec(&mut self.connection)?;
                let start = Instant::now();
                redis::cmd("RENAME")
                    .arg(COPY)
                    .arg(receiver.key(receiver.prefix)?)
                    .exec(&mut self.connection)?;
                Ok(start)
            }
            Kept::Messages(messages) => {
                let stopped = Stopped::stop(receiver.pid)?;
                publish(&mut self.connection, receiver, messages)?;
                drop(stopped);
                Ok(Instant::now())
            }
        }
    }
}

impl Receiver {
    /// The sorted set where its messages wait, under a prefix.
    fn key(&self, prefix: &str) -> anyhow::Result<String> {
        let (process, _) = (self.member.split_once('!'))
            .with_context(|| format!("{:?} is no name of a member", self.member))?;
        Ok(format!("{prefix}{process}!"))
    }
}

/// The group's members in the core format, under a prefix.
pub(super) fn group_key(prefix: &str) -> String {
    format!("{prefix}:group:{GROUP}")
}

fn channel_name(prefix: &str) -> String {
    format!("{prefix}__group__{GROUP}")
}

/// Has the producers begin, each with its part of the numbers.
fn write(producers: &mut [Python; 2], events: usize) -> anyhow::Result<()> {
    let half = events / 2;
    for (producer, (first, count)) in producers.iter_mut().zip([(0, half), (half, events - half)]) {
        producer.tell(&json!({
            "do": "fill", "group": GROUP, "first": first, "count": count, "width": TEXT_BYTES,
        }))?;
    }
    Ok(())
}

fn finish(producers: &mut [Python; 2]) -> anyhow::Result<()> {
    for producer in producers {
        producer.answer::<usize>(FILL_LIMIT)?;
    }
    Ok(())
}

fn publish(
    connection: &mut Connection,
    receiver: &Receiver,
    messages: &[Vec<u8>],
) -> anyhow::Result<()> {
    let channel = channel_name(receiver.prefix);
    for batch in messages.chunks(BATCH) {
        let mut commands = redis::pipe();
        for message in batch {
            commands.cmd("PUBLISH").arg(&channel).arg(message);
        }
        let reached: Vec<usize> = commands.query(connection)?;
        ensure!(
            reached.iter().all(|count| *count == 1),
            "{channel} does not have one subscriber"
        );
    }
    Ok(())
}
