//! What the listener counts.

use fanfare_layer::Metrics;
use prometheus::{IntCounter, IntGauge, Registry};

/// The counters of plain HTTP connections; clones count together.
#[derive(Clone)]
pub struct ConnectionMetrics {
    pub(crate) open: IntGauge,
    pub(crate) unread: IntCounter,
    pub(crate) crowded: IntCounter,
    pub(crate) refused: IntCounter,
}

impl ConnectionMetrics {
    /// Creates them in a registry.
    ///
    /// # Errors
    /// When a metric's name is taken in `registry`.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Metrics(registry);
        let closed = metrics.family(
            "fanfare_http_connections_closed_total",
            "HTTP connections that the server has cut or refused.",
            "cause",
        )?;
        Ok(Self {
            open: metrics.gauge(
                "fanfare_http_connections",
                "Open HTTP connections that are neither sessions nor handshakes.",
            )?,
            unread: closed.with_label_values(&["unread"]),
            crowded: closed.with_label_values(&["crowded"]),
            refused: closed.with_label_values(&["refused"]),
        })
    }
}
