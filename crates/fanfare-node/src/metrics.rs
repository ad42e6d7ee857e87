//! What a node counts.

use fanfare_layer::{MemoryBudget, MemoryUse, Metrics};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

/// A node's counters; clones count together.
#[derive(Clone)]
pub(crate) struct NodeMetrics {
    pub(crate) sessions: IntGauge,
    pub(crate) opened: IntCounter,
    pub(crate) closed: Closed,
    pub(crate) refused: Refused,
    pub(crate) published: IntCounter,
    pub(crate) delivered: IntCounter,
    pub(crate) posted: IntCounter,
    pub(crate) dropped: Dropped,
    pub(crate) messages: IntCounter,
    pub(crate) received_bytes: IntCounter,
    pub(crate) sent_bytes: IntCounter,
    pub(crate) groups: IntGauge,
    pub(crate) slow: IntCounter,
    pub(crate) restarts: Restarts,
    pub(crate) fan_out: Histogram,
    pub(crate) abandoned: IntCounter,
    pub(crate) throttled: Throttled,
}

/// Sessions closed, by reason.
#[derive(Clone)]
pub(crate) struct Closed {
    pub(crate) client: IntCounter,
    pub(crate) lost: IntCounter,
    pub(crate) ping_timeout: IntCounter,
    pub(crate) protocol: IntCounter,
    pub(crate) route: IntCounter,
    pub(crate) slow: IntCounter,
    pub(crate) drain: IntCounter,
    pub(crate) panic: IntCounter,
    pub(crate) kicked: IntCounter,
    pub(crate) failed: IntCounter,
    pub(crate) no_memory: IntCounter,
}

/// Sessions refused at the handshake, by cause.
#[derive(Clone)]
pub(crate) struct Refused {
    pub(crate) node_full: IntCounter,
    /// The address had as many sessions as it may have.
    pub(crate) too_many_sessions: IntCounter,
    /// The address had sent too many handshakes.
    pub(crate) rate_limited: IntCounter,
    pub(crate) draining: IntCounter,
    pub(crate) layer: IntCounter,
    pub(crate) groups: IntCounter,
    pub(crate) no_memory: IntCounter,
}

/// Sessions that sent faster than they may.
#[derive(Clone)]
pub(crate) struct Throttled {
    /// Those that are not read now.
    pub(crate) sessions: IntGauge,
    /// How often one was not read.
    pub(crate) pauses: IntCounter,
}

/// Events and frames that reached nobody, by cause.
#[derive(Clone)]
pub(crate) struct Dropped {
    pub(crate) no_members: IntCounter,
    pub(crate) no_session: IntCounter,
    pub(crate) field_missing: IntCounter,
    pub(crate) unknown_type: IntCounter,
    pub(crate) session_closed: IntCounter,
    pub(crate) mailbox_full: IntCounter,
    pub(crate) registry_panic: IntCounter,
    pub(crate) bridge_panic: IntCounter,
    /// Came from another node for a worker that had no room.
    pub(crate) inbox_full: IntCounter,
    /// Came from elsewhere for a channel whose queue was full.
    pub(crate) queue_full: IntCounter,
    /// Waited in a queue for too long.
    pub(crate) expired: IntCounter,
    /// Refused, or dropped from a channel's queue, while the node was short of memory.
    pub(crate) no_memory: IntCounter,
}

/// Restarts of supervised actors.
#[derive(Clone)]
pub(crate) struct Restarts {
    pub(crate) registry: IntCounter,
    pub(crate) bridge: IntCounter,
}

impl NodeMetrics {
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Metrics(registry);
        let closed = metrics.family(
            "fanfare_sessions_closed_total",
            "Sessions closed, by reason.",
            "reason",
        )?;
        let refused = metrics.family(
            "fanfare_sessions_refused_total",
            "Handshakes refused for want of room or because they came too often, by cause.",
            "cause",
        )?;
        let dropped = metrics.family(
            "fanfare_events_dropped_total",
            "Events, or frames of them, that were not delivered on this node, by cause.",
            "cause",
        )?;
        let restarts = metrics.family(
            "fanfare_restarts_total",
            "Actors rebuilt after a panic, by actor.",
            "actor",
        )?;
        Ok(Self {
            sessions: metrics.gauge("fanfare_sessions", "Sessions open on this node.")?,
            opened: metrics.counter("fanfare_sessions_opened_total", "Sessions opened.")?,
            closed: Closed::new(&closed),
            refused: Refused::new(&refused),
            published: metrics.counter(
                "fanfare_events_published_total",
                "Events given to the layer on this node.",
            )?,
            delivered: metrics.counter(
                "fanfare_events_delivered_total",
                "Frames of events handed to a socket or its outbox.",
            )?,
            posted: metrics.counter(
                "fanfare_events_posted_total",
                "Events handed to consumers and other actors.",
            )?,
            dropped: Dropped::new(&dropped),
            messages: metrics.counter(
                "fanfare_messages_received_total",
                "Text and binary messages received from clients.",
            )?,
            received_bytes: metrics.counter(
                "fanfare_received_bytes_total",
                "Bytes received on sessions.",
            )?,
            sent_bytes: metrics.counter("fanfare_sent_bytes_total", "Bytes sent on sessions.")?,
            groups: metrics.gauge("fanfare_groups", "Groups with members on this node.")?,
            slow: metrics.counter(
                "fanfare_slow_sessions_closed_total",
                "Sessions closed because their outbox passed its bound.",
            )?,
            abandoned: metrics.counter(
                "fanfare_programs_abandoned_total",
                "Consumers given up because they took too long after their session's end.",
            )?,
            throttled: Throttled::new(metrics)?,
            restarts: Restarts {
                registry: restarts.with_label_values(&["registry"]),
                bridge: restarts.with_label_values(&["bridge"]),
            },
            fan_out: metrics.histogram(
                "fanfare_fan_out_seconds",
                "From an event's arrival at this node to the end of its fan-out on one worker.",
                // 50 us to 6.6 s in steps of 2.
                prometheus::exponential_buckets(0.000_05, 2.0, 18)?,
            )?,
        })
    }
}

impl Throttled {
    fn new(metrics: Metrics<'_>) -> prometheus::Result<Self> {
        Ok(Self {
            sessions: metrics.gauge(
                "fanfare_sessions_throttled",
                "Sessions that are not read because they sent faster than limits.rate.",
            )?,
            pauses: metrics.counter(
                "fanfare_throttles_total",
                "Pauses in reading a session that sent faster than limits.rate.",
            )?,
        })
    }
}

impl Closed {
    fn new(family: &IntCounterVec) -> Self {
        Self {
            client: family.with_label_values(&["client"]),
            lost: family.with_label_values(&["lost"]),
            ping_timeout: family.with_label_values(&["ping_timeout"]),
            protocol: family.with_label_values(&["protocol"]),
            route: family.with_label_values(&["route"]),
            slow: family.with_label_values(&["slow"]),
            drain: family.with_label_values(&["drain"]),
            panic: family.with_label_values(&["panic"]),
            kicked: family.with_label_values(&["kicked"]),
            failed: family.with_label_values(&["failed"]),
            no_memory: family.with_label_values(&["no_memory"]),
        }
    }
}

impl Refused {
    fn new(family: &IntCounterVec) -> Self {
        Self {
            node_full: family.with_label_values(&["node_full"]),
            too_many_sessions: family.with_label_values(&["too_many_sessions"]),
            rate_limited: family.with_label_values(&["rate_limited"]),
            draining: family.with_label_values(&["draining"]),
            layer: family.with_label_values(&["layer"]),
            groups: family.with_label_values(&["groups"]),
            no_memory: family.with_label_values(&["no_memory"]),
        }
    }
}

impl Dropped {
    fn new(family: &IntCounterVec) -> Self {
        Self {
            no_members: family.with_label_values(&["no_members"]),
            no_session: family.with_label_values(&["no_session"]),
            field_missing: family.with_label_values(&["field_missing"]),
            unknown_type: family.with_label_values(&["unknown_type"]),
            session_closed: family.with_label_values(&["session_closed"]),
            mailbox_full: family.with_label_values(&["mailbox_full"]),
            registry_panic: family.with_label_values(&["registry_panic"]),
            bridge_panic: family.with_label_values(&["bridge_panic"]),
            inbox_full: family.with_label_values(&["inbox_full"]),
            queue_full: family.with_label_values(&["queue_full"]),
            expired: family.with_label_values(&["expired"]),
            no_memory: family.with_label_values(&["no_memory"]),
        }
    }
}

/// Reads a node's budget when metrics are collected.
pub(crate) struct MemoryGauges {
    budget: MemoryBudget,
    limit: IntGauge,
    waiting: IntGaugeVec,
}

impl MemoryGauges {
    pub(crate) fn new(budget: MemoryBudget) -> prometheus::Result<Self> {
        let help = "Bytes that may wait on this node, all queues together.";
        let limit = IntGauge::new("fanfare_memory_limit_bytes", help)?;
        let help = "Bytes that wait on this node, by what keeps them.";
        let waiting = Opts::new("fanfare_memory_waiting_bytes", help);
        let waiting = IntGaugeVec::new(waiting, &["what"])?;
        Ok(Self {
            budget,
            limit,
            waiting,
        })
    }
}

impl Collector for MemoryGauges {
    fn desc(&self) -> Vec<&Desc> {
        let limit = self.limit.desc().into_iter();
        limit.chain(self.waiting.desc()).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let gauge = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.limit.set(gauge(self.budget.limit()));
        for what in MemoryUse::ALL {
            let waiting = self.waiting.with_label_values(&[what.name()]);
            waiting.set(gauge(self.budget.used_by(what)));
        }
        let limit = self.limit.collect().into_iter();
        limit.chain(self.waiting.collect()).collect()
    }
}
