//! Logs on standard error, which nobody waits for: see [`writer`].

mod fields;
mod json;
mod panics;
mod writer;

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use prometheus::IntCounter;
use tracing::Dispatch;
use tracing::dispatcher::SetGlobalDefaultError;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::LogFormat;
use crate::config::settings::Log;
use fields::TextFields;
use json::JsonLines;
use writer::LossyWriter;

/// What access lines are logged as; their message is the whole line.
pub(crate) const ACCESS_TARGET: &str = "fanfare::access";

/// What lines of the audit log are logged as; their message is the kind of the line.
pub(crate) const AUDIT_TARGET: &str = "fanfare::audit";

/// How long the last lines may take at the end of the process.
const FLUSH: Duration = Duration::from_secs(1);

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    /// The configured directives are none.
    #[error("log.level: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The counter of lost lines has a wrong name.
    #[error(transparent)]
    Counter(#[from] prometheus::Error),
    /// There is no thread that could write.
    #[error("no thread for the log: {0}")]
    Thread(io::Error),
    /// Somebody else has set one up.
    #[error(transparent)]
    Taken(SetGlobalDefaultError),
}

/// The log. Dropping it writes the last lines, for at most a second.
#[must_use = "the last lines are written when it is dropped"]
pub(crate) struct Logging {
    writer: LossyWriter,
    lost: IntCounter,
}

impl Logging {
    /// Counts the lines that were not written.
    pub(crate) fn lost(&self) -> &IntCounter {
        &self.lost
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        self.writer.flush_within(FLUSH);
    }
}

/// Sends everything logged from now on to standard error, panics too.
///
/// # Errors
/// [`LogError`].
pub(crate) fn init(log: &Log) -> Result<Logging, LogError> {
    let filter = filter(log)?;
    let lost = IntCounter::new(
        "fanfare_log_lines_lost_total",
        "Log lines that could not be written to standard error.",
    )?;
    let writer = LossyWriter::start(io::stderr(), lost.clone()).map_err(LogError::Thread)?;
    let lines = writer.clone();
    let colours = io::stderr().is_terminal();
    let subscriber = subscriber(log.format, filter, move || lines.clone(), colours);
    tracing::dispatcher::set_global_default(subscriber).map_err(LogError::Taken)?;
    panics::log(writer.clone());
    Ok(Logging { writer, lost })
}

/// What writes each event as a line.
fn subscriber<W>(format: LogFormat, filter: EnvFilter, writer: W, colours: bool) -> Dispatch
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        // It would say with `eprintln!` what it cannot write.
        .log_internal_errors(false)
        .with_ansi(colours);
    match format {
        LogFormat::Text => builder.fmt_fields(TextFields).into(),
        LogFormat::Json => builder.event_format(JsonLines).into(),
    }
}

/// For commands that are over soon: what a person must know, nothing else.
///
/// # Errors
/// [`LogError`].
pub(crate) fn init_for_command() -> Result<Logging, LogError> {
    init(&Log {
        format: LogFormat::Text,
        level: "warn".to_owned(),
        access: false,
        audit: false,
    })
}

fn filter(log: &Log) -> Result<EnvFilter, LogError> {
    let mut filter = EnvFilter::try_new(&log.level)?;
    // How many threads the listener starts on what runtime is no news. Directives of one's own
    // show it.
    let plain = log.level.parse::<LevelFilter>().ok();
    if plain.is_some_and(|level| level > LevelFilter::WARN) {
        filter = filter.add_directive("actix_server=warn".parse()?);
    }
    if !log.access {
        filter = filter.add_directive(format!("{ACCESS_TARGET}=off").parse()?);
    }
    let audit = if log.audit { "info" } else { "off" };
    Ok(filter.add_directive(format!("{AUDIT_TARGET}={audit}").parse()?))
}

#[cfg(test)]
mod tests;
