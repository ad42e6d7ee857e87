//! Waiting with a deadline.

use std::future::Future;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use tokio::time::{Instant, sleep, timeout};

const POLL: Duration = Duration::from_millis(20);

/// Awaits `future` for at most `limit`.
///
/// # Errors
/// When the limit passes first; the message says what was awaited.
pub async fn within<T>(limit: Duration, what: &str, future: impl Future<Output = T>) -> Result<T> {
    timeout(limit, future)
        .await
        .with_context(|| format!("{what}: not within {limit:?}"))
}

/// Polls `probe` until it gives a value, for at most `limit`. A probe that fails is asked again.
///
/// # Errors
/// When the limit passes first; the message says what was awaited, and the probe's last error.
pub async fn eventually<T>(
    limit: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        let error = match timeout(limit, probe()).await {
            Ok(Ok(Some(value))) => return Ok(value),
            Ok(Ok(None)) => None,
            Ok(Err(error)) => Some(error),
            Err(_) => Some(anyhow!("the probe itself hung")),
        };
        if Instant::now() >= deadline {
            let error = error.unwrap_or_else(|| anyhow!("the condition never held"));
            return Err(error.context(format!("{what}: not within {limit:?}")));
        }
        sleep(POLL).await;
    }
}
