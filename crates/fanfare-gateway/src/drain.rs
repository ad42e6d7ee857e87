//! Shuts a server down in steps, so that clients do not all reconnect at once.

use std::time::Duration;

use actix_server::ServerHandle;
use fanfare_node::Node;

/// How long taking back the subscriptions may take; the layer may be unreachable.
const LAYER: Duration = Duration::from_secs(5);

/// How long the steps of a drain take. `ClusterOptions::close_timeout` sets how long a closed
/// session waits for the close frame of its client.
#[derive(Debug, Clone)]
pub struct DrainOptions {
    /// How long the server still accepts handshakes after the signal, so that a load balancer has
    /// time to see that the server is not ready. Zero by default.
    pub grace: Duration,
    /// The time over which the closes of the sessions are spread, so that not all clients reconnect
    /// at once. Five seconds by default.
    pub window: Duration,
}

impl Default for DrainOptions {
    fn default() -> Self {
        Self {
            grace: Duration::ZERO,
            window: Duration::from_secs(5),
        }
    }
}

/// Ends everything: the grace, then no new sessions, then every session closed with 1001, then no
/// listener, then no subscriptions.
pub(crate) async fn drain(options: &DrainOptions, node: &Node, server: &ServerHandle) {
    tokio::time::sleep(options.grace).await;
    node.refuse_sessions();
    let sessions = node.sessions();
    tracing::info!(sessions, "closing the sessions");
    let remaining = node.close_sessions(options.window).await;
    if remaining > 0 {
        tracing::warn!(remaining, "sessions did not end in time");
    }
    server.stop(true).await;
    if tokio::time::timeout(LAYER, node.close()).await.is_err() {
        tracing::warn!("the layer did not take the subscriptions back in time");
    }
    tracing::info!("drained");
}
