//! One instance of a worker, from its first event to its last.

use std::error::Error;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use fanfare_protocol::{ChannelName, Envelope};
use futures_util::FutureExt as _;
use tokio::sync::watch;
use tokio::task::coop::consume_budget;

use super::tally::{Outcome, Tally};
use super::{Worker, WorkerError};
use crate::cluster::Cluster;

/// What an instance works with.
pub(super) struct Shift {
    pub(super) cluster: Cluster,
    pub(super) channel: ChannelName,
    pub(super) stopping: watch::Receiver<bool>,
    pub(super) tally: Rc<Tally>,
}

/// Why an event was not worked on.
enum Failure {
    Unknown,
    Failed(WorkerError),
}

/// Takes events and works on them until the shift is over or the node is closed.
pub(super) async fn work<W: Worker>(mut shift: Shift, build: Rc<dyn Fn() -> W>) {
    let (node, channel) = (shift.cluster.node().clone(), shift.channel.clone());
    let mut receiver = match shift.unless_over(node.receive(&channel)).await {
        Some(Ok(receiver)) => receiver,
        Some(Err(error)) => {
            tracing::error!(%channel, %error, "a worker cannot receive from its channel");
            return;
        }
        None => return,
    };
    let mut instance = None;
    while let Some(Some(envelope)) = shift.unless_over(receiver.next()).await {
        shift.tally.started();
        let outcome = shift.handle(&mut instance, &*build, &envelope).await;
        shift.tally.ended(outcome);
        // Where events never run out, the others still have their turn, and the end.
        consume_budget().await;
    }
}

impl Shift {
    /// What `step` comes to, or nothing once the shift is over.
    async fn unless_over<T>(&mut self, step: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            _ = self.stopping.wait_for(|stopping| *stopping) => None,
            output = step => Some(output),
        }
    }

    async fn handle<W: Worker>(
        &self,
        instance: &mut Option<W>,
        build: &dyn Fn() -> W,
        envelope: &Envelope,
    ) -> Outcome {
        let attempt = async {
            let event = decode::<W>(envelope)?;
            let worker = instance.get_or_insert_with(build);
            let handled = worker.handle(&self.cluster, &event).await;
            handled.map_err(Failure::Failed)
        };
        let caught = AssertUnwindSafe(attempt).catch_unwind().await;
        let (channel, kind) = (&self.channel, envelope.event.event_type());
        match caught {
            Ok(Ok(())) => Outcome::Done,
            Ok(Err(Failure::Failed(error))) => {
                let error = chain(&*error);
                tracing::error!(%channel, kind, error, "a worker failed on an event");
                Outcome::Failed
            }
            Ok(Err(Failure::Unknown)) => {
                if let Some(count) = self.tally.unknown() {
                    tracing::warn!(
                        %channel,
                        kind,
                        count,
                        "events of types that their workers do not know; type and channel are the last one's"
                    );
                }
                Outcome::Unknown
            }
            Err(_) => {
                tracing::error!(%channel, kind, "a worker panicked on an event and is built anew");
                // What a panic left behind may panic again when it is dropped.
                let _dropped = catch_unwind(AssertUnwindSafe(|| drop(instance.take())));
                Outcome::Panicked
            }
        }
    }
}

fn decode<W: Worker>(envelope: &Envelope) -> Result<W::Event, Failure> {
    // A disconnect is for sessions.
    if envelope.close.is_some() {
        return Err(Failure::Unknown);
    }
    envelope.event.to().map_err(|error| {
        if error.is_unknown_type() {
            Failure::Unknown
        } else {
            Failure::Failed(Box::new(error))
        }
    })
}

/// An error and what caused it, in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a String cannot fail.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
