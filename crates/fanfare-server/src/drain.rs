//! The end of the process, in the order that costs clients least.

use std::time::Duration;

use actix_web::dev::ServerHandle;

use crate::http::Shared;

/// How long taking back the subscriptions may take; the layer may be unreachable.
const LAYER: Duration = Duration::from_secs(5);

/// Ends everything: not ready, then no new sessions, then every session closed with 1001, then no
/// listener, then no subscriptions.
pub(crate) async fn drain(shared: &Shared, server: &ServerHandle) {
    let times = &shared.settings.drain;
    shared.start_draining();
    // Balancers need a while to see it; who they still send here is served.
    tokio::time::sleep(times.grace).await;
    shared.node.refuse_sessions();
    let sessions = shared.node.sessions();
    tracing::info!(sessions, "closing the sessions");
    let remaining = shared.node.close_sessions(times.window).await;
    if remaining > 0 {
        tracing::warn!(remaining, "sessions did not end in time");
    }
    server.stop(true).await;
    if tokio::time::timeout(LAYER, shared.node.close())
        .await
        .is_err()
    {
        tracing::warn!("the layer did not take the subscriptions back in time");
    }
    tracing::info!("drained");
}
