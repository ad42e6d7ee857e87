//! Unmodified `channels_redis`, in Python processes of their own.
//!
//! [`PythonLayer`] is a channel layer that does what a test says, [`PythonWorker`] a real
//! `manage.py runworker`. Both take [`PythonOptions`]; what Python raises is a [`PythonError`].

mod error;
mod hosts;
mod options;
mod pipe;
mod serializer;
mod series;
#[cfg(test)]
mod with_python;
mod worker;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

pub use error::PythonError;
pub use hosts::python_hosts;
pub use options::{PythonBackend, PythonOptions, RedisPy};
pub use serializer::PythonSerializer;
pub use series::{PythonSeries, PythonTarget};
pub use worker::PythonWorker;

use pipe::Pipe;

/// How long an answer may take, and an event that is due.
const LIMIT: Duration = Duration::from_secs(20);

/// A Python process that holds one layer and does what it is told, a line of JSON at a time
/// (`tests/python/layer.py`). Dropping it kills it. When Python raises, the error that comes back
/// has a [`PythonError`] in it: `error.downcast_ref::<PythonError>()`.
#[derive(Debug)]
pub struct PythonLayer {
    pipe: Pipe,
}

impl PythonLayer {
    /// Starts a `RedisPubSubChannelLayer` on these hosts, with the defaults of channels_redis and
    /// the newest redis-py.
    ///
    /// # Errors
    /// As [`PythonLayer::with`].
    pub async fn start(hosts: &[&str]) -> Result<Self> {
        Self::with(&PythonOptions::pubsub(hosts.iter().copied())).await
    }

    /// Starts a layer.
    ///
    /// # Errors
    /// When the Python environment is missing, the message says how to make it; when Python
    /// refuses an option.
    pub async fn with(options: &PythonOptions) -> Result<Self> {
        let backend = match options.backend {
            PythonBackend::PubSub => "pubsub",
            PythonBackend::Core => "core",
        };
        let start = json!({ "backend": backend, "options": options.arguments() });
        let mut pipe = Pipe::start(options.python, "layer.py", &start)?;
        let ready = pipe.answer(LIMIT).await.context("the layer in Python")?;
        ensure!(ready == "ready", "the layer in Python said {ready}");
        Ok(Self { pipe })
    }

    /// Publishes an event to a group.
    ///
    /// # Errors
    /// When Python raises.
    pub async fn group_send(&mut self, group: &str, event: &Value) -> Result<()> {
        self.publish(PythonTarget::Group(group), event).await
    }

    /// Sends an event to a channel.
    ///
    /// # Errors
    /// When Python raises, such as `ChannelFull`.
    pub async fn send(&mut self, channel: &str, event: &Value) -> Result<()> {
        self.publish(PythonTarget::Channel(channel), event).await
    }

    /// Publishes an event that is written as a Python expression: for values that JSON lacks.
    ///
    /// # Errors
    /// When Python raises.
    pub async fn group_send_python(&mut self, group: &str, expression: &str) -> Result<()> {
        let target = PythonTarget::Group(group).to_json();
        let command = json!({"do": "send", "target": target, "python": expression});
        self.call(&command).await.map(drop)
    }

    /// A new channel of this process. It hears nothing on the core layer before something of this
    /// process is received, and is in no group.
    ///
    /// # Errors
    /// When Python raises.
    pub async fn new_channel(&mut self) -> Result<String> {
        let channel = self.call(&json!({"do": "new_channel"})).await?;
        Ok(channel.as_str().context("a channel name")?.to_owned())
    }

    /// Adds a channel to a group.
    ///
    /// # Errors
    /// When Python raises: on the pub/sub layer for a channel of another process.
    pub async fn group_add(&mut self, group: &str, channel: &str) -> Result<()> {
        let command = json!({"do": "group_add", "group": group, "channel": channel});
        self.call(&command).await.map(drop)
    }

    /// Takes a channel out of a group.
    ///
    /// # Errors
    /// When Python raises.
    pub async fn group_discard(&mut self, group: &str, channel: &str) -> Result<()> {
        let command = json!({"do": "group_discard", "group": group, "channel": channel});
        self.call(&command).await.map(drop)
    }

    /// Makes a channel of this process and adds it to a group.
    ///
    /// # Errors
    /// When Python raises.
    pub async fn join(&mut self, group: &str) -> Result<String> {
        let channel = self.new_channel().await?;
        self.group_add(group, &channel).await?;
        Ok(channel)
    }

    /// Forgets everything: the core layer deletes all that is under its prefix, the pub/sub layer
    /// ends its own subscriptions.
    ///
    /// # Errors
    /// When Python raises.
    pub async fn flush(&mut self) -> Result<()> {
        self.call(&json!({"do": "flush"})).await.map(drop)
    }

    /// The next event of a channel of this process, or of a normal channel.
    ///
    /// # Errors
    /// When Python raises or nothing comes.
    pub async fn receive(&mut self, channel: &str) -> Result<Value> {
        let event = self.receive_within(channel, LIMIT).await?;
        event.with_context(|| format!("{channel}: no event within {LIMIT:?}"))
    }

    /// The next event of a channel, if one comes in time. What comes later is not lost: the next
    /// call has it.
    ///
    /// # Errors
    /// When Python raises.
    pub async fn receive_within(
        &mut self,
        channel: &str,
        limit: Duration,
    ) -> Result<Option<Value>> {
        let seconds = limit.as_secs_f64();
        let command = json!({"do": "receive", "channel": channel, "seconds": seconds});
        let answer = self.pipe.call(&command, limit + LIMIT).await?;
        Ok(answer.as_array().context("a list")?.first().cloned())
    }

    /// What channels_redis has logged since the last time, each line with its level, such as
    /// `INFO 1 of 2 channels over capacity in group g`.
    ///
    /// # Errors
    /// When Python is gone.
    pub async fn logged(&mut self) -> Result<Vec<String>> {
        let lines = self.call(&json!({"do": "logged"})).await?;
        Ok(serde_json::from_value(lines)?)
    }

    async fn publish(&mut self, target: PythonTarget<'_>, event: &Value) -> Result<()> {
        let target = target.to_json();
        let command = json!({"do": "send", "target": target, "event": event});
        self.call(&command).await.map(drop)
    }

    async fn call(&mut self, command: &Value) -> Result<Value> {
        self.pipe.call(command, LIMIT).await
    }
}
