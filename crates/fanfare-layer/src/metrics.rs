//! What the layers count.

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, Result,
};

/// Creates metrics in a registry. Every method fails when the name is taken there.
#[derive(Debug, Clone, Copy)]
pub struct Metrics<'a>(pub &'a Registry);

impl Metrics<'_> {
    /// A counter.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn counter(&self, name: &str, help: &str) -> Result<IntCounter> {
        self.register(IntCounter::new(name, help)?)
    }

    /// A gauge.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn gauge(&self, name: &str, help: &str) -> Result<IntGauge> {
        self.register(IntGauge::new(name, help)?)
    }

    /// Counters by the values of a label.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn family(&self, name: &str, help: &str, label: &str) -> Result<IntCounterVec> {
        self.register(IntCounterVec::new(Opts::new(name, help), &[label])?)
    }

    /// A histogram with the upper bounds of its buckets.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn histogram(&self, name: &str, help: &str, buckets: Vec<f64>) -> Result<Histogram> {
        let options = HistogramOpts::new(name, help).buckets(buckets);
        self.register(Histogram::with_opts(options)?)
    }

    /// Any other metric.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn register<C: Collector + Clone + 'static>(&self, metric: C) -> Result<C> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }
}

/// The layer's counters; clones count together.
#[derive(Debug, Clone)]
#[cfg_attr(
    not(feature = "redis"),
    expect(
        dead_code,
        reason = "what goes over connections is counted by the layers that have some"
    )
)]
pub struct LayerMetrics {
    pub(crate) up: IntGauge,
    pub(crate) published: IntCounter,
    pub(crate) failures: PublishFailures,
    pub(crate) received: IntCounter,
    pub(crate) dropped: Drops,
    pub(crate) round_trip: Histogram,
    pub(crate) gaps: IntCounter,
    pub(crate) reconnects: IntCounter,
    pub(crate) subscriptions: IntGauge,
    pub(crate) over_capacity: IntCounter,
    pub(crate) lapsed: IntCounter,
    pub(crate) cleaned: IntCounter,
    pub(crate) restored: IntCounter,
    pub(crate) control_dropped: ControlDrops,
}

/// Publishes that failed, by cause.
#[derive(Debug, Clone)]
#[cfg_attr(
    not(feature = "redis"),
    expect(
        dead_code,
        reason = "what goes over connections is counted by the layers that have some"
    )
)]
pub(crate) struct PublishFailures {
    /// Not sent: a host is unreachable.
    pub(crate) down: IntCounter,
    /// Sent, and the server answered with an error.
    pub(crate) refused: IntCounter,
    /// Sent, and the connection broke before the answer.
    pub(crate) unanswered: IntCounter,
    /// Not sent: the layer is closed.
    pub(crate) closed: IntCounter,
    /// Not sent: its publisher stopped waiting for room.
    pub(crate) abandoned: IntCounter,
    /// Not queued: too many messages of that channel wait.
    pub(crate) channel_full: IntCounter,
    /// Not sent: the serializer has no notation for it.
    pub(crate) unserializable: IntCounter,
}

/// Arrived messages that were dropped, by cause.
#[derive(Debug, Clone)]
#[cfg_attr(
    not(feature = "redis"),
    expect(
        dead_code,
        reason = "what goes over connections is counted by the layers that have some"
    )
)]
pub(crate) struct Drops {
    /// The inbox had no room.
    pub(crate) inbox_full: IntCounter,
    /// The node was short of memory.
    pub(crate) no_memory: IntCounter,
    /// No msgpack.
    pub(crate) malformed: IntCounter,
    /// Msgpack, but no map.
    pub(crate) not_a_map: IntCounter,
    /// A map without `type`.
    pub(crate) no_type: IntCounter,
    /// A map whose `type` is no string.
    pub(crate) type_not_string: IntCounter,
    /// Came on a Redis channel that is no legal group or channel.
    pub(crate) bad_name: IntCounter,
    /// Asks to close sessions with a code or a reason that cannot be sent.
    pub(crate) bad_close: IntCounter,
    /// None of our keys decrypts it.
    pub(crate) undecryptable: IntCounter,
    /// Older than messages may become.
    pub(crate) expired: IntCounter,
    /// Taken from a channel for a receiver that was gone by then, and Redis did not take it back.
    pub(crate) unreturned: IntCounter,
    /// Waited in Redis for this node when it left, or for a dead one.
    pub(crate) closed: IntCounter,
}

impl LayerMetrics {
    /// Creates them in a registry.
    ///
    /// # Errors
    /// When one of the names is taken there.
    pub fn new(registry: &Registry) -> Result<Self> {
        let metrics = Metrics(registry);
        let failures = metrics.family(
            "fanfare_layer_publish_failures_total",
            "Events that the layer did not take, by cause",
            "cause",
        )?;
        let dropped = metrics.family(
            "fanfare_layer_dropped_total",
            "Messages that came from the layer and were dropped before delivery, by cause",
            "cause",
        )?;
        let control_dropped = metrics.family(
            "fanfare_layer_control_dropped_total",
            "Commands of other nodes that were dropped, by cause",
            "cause",
        )?;
        Ok(Self {
            control_dropped: ControlDrops {
                malformed: control_dropped.with_label_values(&["malformed"]),
                busy: control_dropped.with_label_values(&["busy"]),
            },
            up: metrics.gauge(
                "fanfare_layer_up",
                "1 while every host of the layer answers, else 0",
            )?,
            published: metrics.counter("fanfare_layer_published_total", "Events taken by the layer")?,
            failures: PublishFailures::of(&failures),
            received: metrics.counter(
                "fanfare_layer_received_total",
                "Messages that came from the layer for this node",
            )?,
            dropped: Drops::of(&dropped),
            round_trip: metrics.histogram(
                "fanfare_layer_round_trip_seconds",
                "Time from publishing a probe to its arrival at this node, per host",
                prometheus::exponential_buckets(0.0001, 2.5, 12)?,
            )?,
            gaps: metrics.counter(
                "fanfare_layer_gaps_total",
                "Lost and restored connections, where what was published meanwhile did not reach this node",
            )?,
            reconnects: metrics.counter(
                "fanfare_layer_reconnects_total",
                "Attempts to connect to a host again",
            )?,
            lapsed: metrics.counter(
                "fanfare_layer_lapsed_total",
                "Messages that no process took in time, removed from its channel by this node's sending",
            )?,
            over_capacity: metrics.counter(
                "fanfare_layer_over_capacity_total",
                "Copies of group events that a process did not get because its channel was full",
            )?,
            cleaned: metrics.counter(
                "fanfare_layer_nodes_cleaned_total",
                "Dead nodes whose memberships this node took out of the layer, per host",
            )?,
            restored: metrics.counter(
                "fanfare_layer_memberships_lost_total",
                "Times that a host had lost this node's memberships, which were added again",
            )?,
            subscriptions: metrics.gauge(
                "fanfare_layer_subscriptions",
                "Groups and channels whose subscription the layer has acknowledged",
            )?,
        })
    }
}

/// Control messages that were dropped, by cause.
#[derive(Debug, Clone)]
#[cfg_attr(
    not(feature = "redis"),
    expect(
        dead_code,
        reason = "what goes over connections is counted by the layers that have some"
    )
)]
pub(crate) struct ControlDrops {
    /// Not in the form of this version.
    pub(crate) malformed: IntCounter,
    /// Too many answers were being made.
    pub(crate) busy: IntCounter,
}

impl PublishFailures {
    fn of(causes: &IntCounterVec) -> Self {
        Self {
            down: causes.with_label_values(&["down"]),
            refused: causes.with_label_values(&["refused"]),
            unanswered: causes.with_label_values(&["unanswered"]),
            closed: causes.with_label_values(&["closed"]),
            abandoned: causes.with_label_values(&["abandoned"]),
            channel_full: causes.with_label_values(&["channel_full"]),
            unserializable: causes.with_label_values(&["unserializable"]),
        }
    }
}

impl Drops {
    fn of(causes: &IntCounterVec) -> Self {
        Self {
            inbox_full: causes.with_label_values(&["inbox_full"]),
            no_memory: causes.with_label_values(&["no_memory"]),
            malformed: causes.with_label_values(&["malformed"]),
            not_a_map: causes.with_label_values(&["not_a_map"]),
            no_type: causes.with_label_values(&["no_type"]),
            type_not_string: causes.with_label_values(&["type_not_string"]),
            bad_name: causes.with_label_values(&["bad_name"]),
            bad_close: causes.with_label_values(&["bad_close"]),
            undecryptable: causes.with_label_values(&["undecryptable"]),
            expired: causes.with_label_values(&["expired"]),
            unreturned: causes.with_label_values(&["unreturned"]),
            closed: causes.with_label_values(&["closed"]),
        }
    }
}
