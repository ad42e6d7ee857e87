//! Counts the events of workers by their result.

use std::cell::Cell;

use fanfare_layer::Throttle;

use crate::metrics::WorkerEvents;

/// What [`Workers`](super::Workers) did until they stopped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkersReport {
    /// Events that were handled.
    pub done: u64,
    /// Events whose handler returned an error, and events without the fields of their type.
    pub failed: u64,
    /// Events whose handler panicked.
    pub panicked: u64,
    /// Events of a type that the worker does not know.
    pub unknown: u64,
    /// Events whose handler was still running when the grace period was over.
    pub abandoned: u64,
}

/// How the work on an event ended.
#[derive(Debug, Clone, Copy)]
pub(super) enum Outcome {
    Done,
    Failed,
    Panicked,
    Unknown,
}

/// Counts for the report of one run, and for the process.
pub(super) struct Tally {
    metrics: WorkerEvents,
    report: Cell<WorkersReport>,
    /// Events in work.
    busy: Cell<u64>,
    /// Of lines about unknown events.
    throttle: Throttle,
}

impl Tally {
    pub(super) fn new(metrics: WorkerEvents) -> Self {
        Self {
            metrics,
            report: Cell::default(),
            busy: Cell::default(),
            throttle: Throttle::default(),
        }
    }

    /// Counts an unknown event. Where a line may be written now, answers for how many of them.
    pub(super) fn unknown(&self) -> Option<u64> {
        self.throttle.admit(1)
    }

    pub(super) fn started(&self) {
        self.busy.set(self.busy.get() + 1);
    }

    pub(super) fn ended(&self, outcome: Outcome) {
        self.busy.set(self.busy.get() - 1);
        let mut report = self.report.get();
        let (count, total) = match outcome {
            Outcome::Done => (&mut report.done, &self.metrics.done),
            Outcome::Failed => (&mut report.failed, &self.metrics.failed),
            Outcome::Panicked => (&mut report.panicked, &self.metrics.panicked),
            Outcome::Unknown => (&mut report.unknown, &self.metrics.unknown),
        };
        *count += 1;
        total.inc();
        self.report.set(report);
    }

    /// The report at the end: what is in work now is abandoned.
    pub(super) fn close(&self) -> WorkersReport {
        WorkersReport {
            abandoned: self.busy.get(),
            ..self.report.get()
        }
    }
}
