//! Many events, one after the other, at Python's own pace.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::PythonLayer;

/// How long a burst may take.
const BURST: Duration = Duration::from_secs(120);

/// Whom an event is for.
#[derive(Debug, Clone, Copy)]
pub enum PythonTarget<'a> {
    /// `group_send`.
    Group(&'a str),
    /// `send`.
    Channel(&'a str),
}

/// What became of numbered events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PythonSeries {
    /// How many were tried; they carried the numbers from 0 to this, in the field `number`.
    pub attempts: usize,
    /// How many calls returned without an exception. A `group_send` that met a full channel did.
    pub sent: usize,
    /// The other calls, by the name of the exception.
    pub errors: BTreeMap<String, usize>,
    /// What each call that returned took.
    pub microseconds: Vec<u64>,
}

impl PythonTarget<'_> {
    pub(super) fn to_json(self) -> Value {
        match self {
            Self::Group(name) => json!({ "group": name }),
            Self::Channel(name) => json!({ "channel": name }),
        }
    }
}

impl PythonSeries {
    fn of(report: &Value) -> Result<Self> {
        let field = |name: &str| {
            let field = report.get(name).cloned();
            field.with_context(|| format!("{name} in {report}"))
        };
        Ok(Self {
            attempts: serde_json::from_value(field("attempts")?)?,
            sent: serde_json::from_value(field("sent")?)?,
            errors: serde_json::from_value(field("errors")?)?,
            microseconds: serde_json::from_value(field("microseconds")?)?,
        })
    }
}

impl PythonLayer {
    /// Publishes an event `count` times in a tight loop, with the field `number` from 0 on.
    ///
    /// # Errors
    /// When Python is gone; what single calls raise is in the answer.
    pub async fn burst(
        &mut self,
        target: PythonTarget<'_>,
        event: &Value,
        count: usize,
    ) -> Result<PythonSeries> {
        let target = target.to_json();
        let command = json!({"do": "burst", "target": target, "event": event, "count": count});
        PythonSeries::of(&self.pipe.call(&command, BURST).await?)
    }

    /// Publishes an event again and again in the background, with the field `number` from 0 on and
    /// a pause after each, until [`PythonLayer::stop_sender`]. Every other command works meanwhile.
    ///
    /// # Errors
    /// When Python is gone.
    pub async fn start_sender(
        &mut self,
        target: PythonTarget<'_>,
        event: &Value,
        pause: Duration,
    ) -> Result<()> {
        let (target, pause) = (target.to_json(), pause.as_secs_f64());
        let command =
            json!({"do": "start_sender", "target": target, "event": event, "pause": pause});
        self.call(&command).await.map(drop)
    }

    /// What the sender in the background has done so far, without the times.
    ///
    /// # Errors
    /// When there is none.
    pub async fn sender_progress(&mut self) -> Result<PythonSeries> {
        PythonSeries::of(&self.call(&json!({"do": "sender_progress"})).await?)
    }

    /// Stops the sender in the background after the call that it is in.
    ///
    /// # Errors
    /// When there is none, or that call does not end.
    pub async fn stop_sender(&mut self) -> Result<PythonSeries> {
        PythonSeries::of(&self.call(&json!({"do": "stop_sender"})).await?)
    }
}
