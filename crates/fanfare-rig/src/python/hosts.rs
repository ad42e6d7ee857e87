//! What redis-py makes of URLs, without Redis.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::error::PythonError;
use super::options::RedisPy;
use super::pipe::Pipe;

const LIMIT: Duration = Duration::from_secs(60);

/// What the newest redis-py makes of each URL (`tests/python/hosts.py`).
///
/// # Errors
/// When Python cannot be asked; why a URL is refused is in its place.
pub async fn python_hosts(urls: &[&str]) -> Result<Vec<Result<Value, PythonError>>> {
    let mut pipe = Pipe::start(RedisPy::Newest, "hosts.py", &json!(urls))?;
    let answers = pipe.answer(LIMIT).await?;
    let answers = answers.as_array().context("a list")?.iter();
    let answers = answers.map(|answer| match answer.get("error") {
        Some(error) => Err(PythonError::of(error)),
        None => Ok(answer.get("ok").cloned().unwrap_or_default()),
    });
    Ok(answers.collect())
}
