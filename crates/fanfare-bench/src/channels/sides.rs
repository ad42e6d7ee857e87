//! The two formats, and who is behind which prefix.

use serde_json::json;

use super::python::Layer;

/// The nodes' prefix.
pub(super) const NODE_PREFIX: &str = "node";
/// The Python consumers', so that what is for the ones does not reach the others.
pub(super) const PYTHON_PREFIX: &str = "python";

/// A format of `channels_redis`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Backend {
    /// `channels_redis.core.RedisChannelLayer`
    Core,
    /// `channels_redis.pubsub.RedisPubSubChannelLayer`
    Pubsub,
}

impl Backend {
    /// As `layer.format` and the scripts call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Pubsub => "pubsub",
        }
    }

    /// A Python layer with the package's defaults. Its consumers would not live for long with
    /// redis-py's: from version 8 on it gives up an idle receive after five seconds.
    pub(super) fn layer(self, url: &str, prefix: &str) -> Layer {
        let host = json!({ "address": url, "socket_timeout": null });
        Layer {
            backend: self.name(),
            options: json!({ "hosts": [host], "prefix": prefix }),
        }
    }

    /// As [`Backend::layer`], for a backlog: as many messages may wait as are sent, for as long as
    /// it takes.
    pub(super) fn patient_layer(self, url: &str, prefix: &str) -> Layer {
        let mut layer = self.layer(url, prefix);
        if let (Self::Core, Some(options)) = (self, layer.options.as_object_mut()) {
            options.insert("capacity".to_owned(), json!(1_000_000));
            options.insert("expiry".to_owned(), json!(PATIENCE_S));
        }
        layer
    }

    /// The settings of a node that takes in a backlog with one session: messages may be as old as
    /// in [`Backend::patient_layer`], and one socket gets what otherwise goes to thousands.
    pub(super) fn patient_node(self) -> Vec<String> {
        let mut settings = vec![
            "limits.outbox_bytes=268435456".to_owned(),
            "limits.outbox_frames=1000000".to_owned(),
        ];
        if self == Self::Core {
            settings.push(format!("layer.core.expiry_ms={}", PATIENCE_S * 1000));
        }
        settings
    }
}

/// Seconds after which a message of a backlog would be too old: longer than all runs together.
const PATIENCE_S: u64 = 3600;
