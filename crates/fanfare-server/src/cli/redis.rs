//! The layer as a command uses it: connect, do one thing, leave.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use fanfare_layer::redis::{self, RedisOptions, RedisPace};
use fanfare_layer::{ChannelLayer, CloseEvents, LayerMetrics, MemoryBudget, PublishError, State};
use fanfare_protocol::{NodeId, SerializeError};

use super::{Exit, Failed};
use crate::config::Settings;

/// How long Redis has to answer anything a command asks.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);

/// The configured Redis layer, once it answers.
pub(super) async fn connect(settings: &Settings) -> Result<Arc<dyn ChannelLayer>, Failed> {
    let redis = &settings.layer.redis;
    let options = RedisOptions {
        hosts: redis.hosts.clone(),
        prefix: settings.layer.prefix.clone(),
        node: NodeId::random().context("the operating system has no random bytes")?,
        publish_in_flight: 1,
        inbox: settings.limits.inbox_frames,
        memory: MemoryBudget::unlimited(),
        close_events: CloseEvents::Ignored,
        pace: RedisPace::every(DEADLINE),
        format: redis.wire_format().context("the wire format")?,
    };
    // Nobody scrapes a command; the layer counts all the same.
    let metrics = LayerMetrics::new(&prometheus::Registry::new()).context("metrics")?;
    let layer = redis::connect(options, metrics);
    let mut status = layer.status();
    let up = status.wait_for(|status| status.state == State::Up);
    match tokio::time::timeout(DEADLINE, up).await {
        Ok(Ok(_)) => {}
        _ => {
            // One of several hosts may have answered.
            leave(&*layer).await;
            return Err(silent(settings));
        }
    }
    drop(status);
    Ok(layer)
}

/// Takes everything back that the layer has in Redis.
pub(super) async fn leave(layer: &dyn ChannelLayer) {
    if tokio::time::timeout(DEADLINE, layer.close()).await.is_err() {
        tracing::warn!("the subscriptions could not be removed from Redis in time");
    }
}

/// Why something was not published.
pub(super) fn unpublished(error: PublishError) -> Failed {
    match error {
        PublishError::Unserializable(SerializeError::Random) => Failed::new(Exit::Failure, error),
        PublishError::Unserializable(_) => Failed::usage(error),
        _ => Failed::unavailable(error),
    }
}

/// Redis did not answer in time.
pub(super) fn silent(settings: &Settings) -> Failed {
    let hosts = settings.layer.host_labels.join(", ");
    Failed::unavailable(format_args!(
        "no answer from {hosts} within {} s",
        DEADLINE.as_secs()
    ))
}

#[cfg(test)]
mod tests {
    use std::process::ExitCode;

    use super::*;

    #[test]
    fn an_event_that_cannot_be_written_is_usage_and_a_full_channel_unavailable() {
        let status = |error: PublishError| format!("{:?}", unpublished(error).status());
        let of = |exit: Exit| format!("{:?}", ExitCode::from(exit as u8));
        let field = "message".to_owned();
        let bytes = PublishError::from(SerializeError::Bytes { field });
        assert!(
            unpublished(bytes.clone())
                .to_string()
                .contains("\"message\"")
        );
        assert_eq!(status(bytes), of(Exit::Usage));
        assert_eq!(status(SerializeError::Random.into()), of(Exit::Failure));
        assert_eq!(status(PublishError::Closed), of(Exit::Unavailable));
    }
}
