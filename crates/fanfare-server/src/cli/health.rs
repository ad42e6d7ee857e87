//! `fanfare health`: for container engines and scripts.

use anyhow::Context as _;

use super::api::Client;
use super::{Exit, Failed};
use crate::config::Settings;
use crate::output;

/// Succeeds when the server says that it is ready.
pub(super) async fn run(settings: &Settings, url: Option<&str>) -> Result<(), Failed> {
    let client = Client::new(settings, url, None)?;
    // A health check answers yes or no: a server that is not there is a no.
    let (status, body) = client
        .get("/health/ready")
        .await
        .map_err(|failed| Failed::new(Exit::Failure, format_args!("not ready: {failed}")))?;
    if status.is_success() {
        Ok(output::print("ready\n").context("writing to standard output")?)
    } else {
        Err(Failed::new(
            Exit::Failure,
            format_args!("not ready: {status} {}", body.trim()),
        ))
    }
}
