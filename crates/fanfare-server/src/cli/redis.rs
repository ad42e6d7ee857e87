//! The layer as a command uses it: connect, do one thing, leave.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use fanfare_layer::redis::{self, PubSubOptions};
use fanfare_layer::{ChannelLayer, LayerMetrics, State};
use fanfare_protocol::NodeId;

use super::Failed;
use crate::config::Settings;

/// How long Redis has to answer anything a command asks.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);

/// The configured Redis layer, once it answers.
pub(super) async fn connect(settings: &Settings) -> Result<Arc<dyn ChannelLayer>, Failed> {
    const PROBE: Duration = Duration::from_secs(5);
    let options = PubSubOptions {
        hosts: settings.layer.hosts.clone(),
        prefix: settings.layer.prefix.clone(),
        node: NodeId::random().context("no random source")?,
        publish_in_flight: 1,
        inbox: settings.limits.inbox_frames,
        probe: PROBE,
    };
    // Nobody scrapes a command; the layer counts all the same.
    let metrics = LayerMetrics::new(&prometheus::Registry::new()).context("metrics")?;
    let layer = redis::pubsub(options, metrics);
    let mut status = layer.status();
    let up = status.wait_for(|status| status.state == State::Up);
    match tokio::time::timeout(DEADLINE, up).await {
        Ok(Ok(_)) => {}
        _ => return Err(silent(settings)),
    }
    drop(status);
    Ok(layer)
}

/// Redis did not answer in time.
pub(super) fn silent(settings: &Settings) -> Failed {
    let hosts = settings.layer.host_labels.join(", ");
    Failed::unavailable(format_args!(
        "no answer from {hosts} within {} s",
        DEADLINE.as_secs()
    ))
}
