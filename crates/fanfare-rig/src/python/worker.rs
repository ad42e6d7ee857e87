//! A worker of Django Channels.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::options::{PythonBackend, PythonOptions};
use super::pipe::Pipe;

const LIMIT: Duration = Duration::from_secs(30);

/// An unmodified `manage.py runworker` in a process of its own (`tests/python/worker.py`). Its
/// consumers note events of the type `job.note`, which [`PythonWorker::next`] gives; send what they
/// get as `job.answer` back to the channel in `reply_to`, and what they get as `job.announce` to
/// the group in `group`, both as `job.done`. Dropping it kills it.
///
/// It does not say when it listens. On the core layer that does not matter; on the pub/sub layer
/// Redis shows it as a subscriber of its channels.
#[derive(Debug)]
pub struct PythonWorker {
    pipe: Pipe,
}

impl PythonWorker {
    /// Starts it on these channels.
    ///
    /// # Errors
    /// When the Python environment is missing; the message says how to make it.
    pub fn start(options: &PythonOptions, channels: &[&str]) -> Result<Self> {
        let backend = match options.backend {
            PythonBackend::PubSub => "channels_redis.pubsub.RedisPubSubChannelLayer",
            PythonBackend::Core => "channels_redis.core.RedisChannelLayer",
        };
        let start =
            json!({ "backend": backend, "options": options.arguments(), "channels": channels });
        let pipe = Pipe::start(options.python, "worker.py", &start)?;
        Ok(Self { pipe })
    }

    /// The next event that a consumer has noted, after the channel that it came from.
    ///
    /// # Errors
    /// When none comes, or the process has ended.
    pub async fn next(&mut self) -> Result<(String, Value)> {
        let mut line = self.pipe.line(LIMIT).await.context("a worker in Python")?;
        let event = line.get_mut("event").map(Value::take);
        let channel = line.get("channel").and_then(Value::as_str);
        let channel = channel.context("a channel")?.to_owned();
        Ok((channel, event.context("an event")?))
    }
}
