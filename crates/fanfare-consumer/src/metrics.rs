//! The metrics of consumers and workers.

use fanfare_layer::Metrics;
use prometheus::{IntCounter, IntCounterVec, Registry};

/// The metrics of consumers and workers. Clones share their counters.
#[derive(Debug, Clone)]
pub struct ConsumerMetrics {
    pub(crate) events: ConsumerEvents,
    pub(crate) failures: Failures,
    pub(crate) worker_events: WorkerEvents,
}

/// Events that came to consumers with an `event` method, by what became of them.
#[derive(Debug, Clone)]
pub(crate) struct ConsumerEvents {
    /// Handed to the consumer.
    pub(crate) handled: IntCounter,
    /// The consumer does not know the event's type, or its fields.
    pub(crate) unknown: IntCounter,
    /// Was to be forwarded and lacks the field that is sent.
    pub(crate) undeliverable: IntCounter,
}

/// Handlers of consumers that failed, by how.
#[derive(Debug, Clone)]
pub(crate) struct Failures {
    pub(crate) panic: IntCounter,
    /// Answered with an error, or did not end in time after the session.
    pub(crate) error: IntCounter,
}

/// Events that workers took from their channels, by what became of them.
#[derive(Debug, Clone)]
pub(crate) struct WorkerEvents {
    /// The handler was content.
    pub(crate) done: IntCounter,
    /// The handler answered with an error, or the event had not the fields of its type.
    pub(crate) failed: IntCounter,
    /// The handler panicked.
    pub(crate) panicked: IntCounter,
    /// The worker does not know the event's type.
    pub(crate) unknown: IntCounter,
}

impl ConsumerMetrics {
    /// Registers the metrics.
    ///
    /// # Errors
    /// When a metric's name is taken in `registry`.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Metrics(registry);
        let events = metrics.family(
            "fanfare_consumer_events_total",
            "Events that came to consumers, by outcome.",
            "outcome",
        )?;
        let failures = metrics.family(
            "fanfare_consumer_failures_total",
            "Handlers of consumers that failed, by kind.",
            "kind",
        )?;
        let worker_events = metrics.family(
            "fanfare_worker_events_total",
            "Events that workers took from their channels, by outcome.",
            "outcome",
        )?;
        Ok(Self {
            events: ConsumerEvents {
                handled: events.with_label_values(&["handled"]),
                unknown: events.with_label_values(&["unknown"]),
                undeliverable: events.with_label_values(&["undeliverable"]),
            },
            failures: Failures {
                panic: failures.with_label_values(&["panic"]),
                error: failures.with_label_values(&["error"]),
            },
            worker_events: WorkerEvents::new(&worker_events),
        })
    }
}

impl WorkerEvents {
    fn new(family: &IntCounterVec) -> Self {
        Self {
            done: family.with_label_values(&["done"]),
            failed: family.with_label_values(&["failed"]),
            panicked: family.with_label_values(&["panicked"]),
            unknown: family.with_label_values(&["unknown"]),
        }
    }
}
