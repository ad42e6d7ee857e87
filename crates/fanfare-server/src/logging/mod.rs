//! Logs on standard error, which nobody waits for: see [`writer`].

mod panics;
mod writer;

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use prometheus::IntCounter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{Directive, LevelFilter};

use crate::config::LogFormat;
use crate::config::settings::Log;
use writer::LossyWriter;

/// What access lines are logged as; their message is the whole line.
pub(crate) const ACCESS_TARGET: &str = "fanfare::access";

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
    #[error("{0}")]
    Taken(Box<dyn std::error::Error + Send + Sync>),
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
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || lines.clone())
        // It would say with `eprintln!` what it cannot write.
        .log_internal_errors(false)
        .with_ansi(io::stderr().is_terminal());
    match log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    }
    .map_err(LogError::Taken)?;
    panics::log(writer.clone());
    Ok(Logging { writer, lost })
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
    if log.access {
        return Ok(filter);
    }
    let silence: Directive = format!("{ACCESS_TARGET}=off").parse()?;
    Ok(filter.add_directive(silence))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0
                .lock()
                .expect("not poisoned")
                .extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: &str, access: bool) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let log = Log {
            format: LogFormat::Text,
            level: level.to_owned(),
            access,
        };
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter(&log).expect("a filter"))
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: ACCESS_TARGET, "WebSocket CONNECT /ws/ [127.0.0.1:1]");
            tracing::info!(target: "fanfare::other", "something else");
            tracing::info!(target: "actix_server::builder", "starting 2 workers");
            tracing::warn!(target: "actix_server::accept", "trouble");
        });
        let bytes = lines.0.lock().expect("not poisoned").clone();
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn an_access_line_is_the_whole_message() {
        let text = logged("info", true);
        assert!(
            text.contains("fanfare::access: WebSocket CONNECT /ws/ [127.0.0.1:1]\n"),
            "{text}"
        );
    }

    #[test]
    fn access_lines_can_be_turned_off_alone() {
        let text = logged("info,fanfare::access=info", false);
        assert!(!text.contains("CONNECT"), "{text}");
        assert!(text.contains("something else"), "{text}");
    }

    #[test]
    fn the_level_holds_for_everything() {
        assert!(!logged("warn", true).contains("INFO"));
        assert_eq!(logged("error", true), "");
        assert_eq!(logged("off", true), "");
    }

    #[test]
    fn the_listeners_own_lines_are_shown_from_warnings_on_unless_asked_for() {
        for level in ["info", "debug"] {
            let text = logged(level, true);
            assert!(text.contains("trouble"), "{text}");
            assert!(!text.contains("starting 2 workers"), "{text}");
        }
        for level in ["info,fanfare=debug", "warn,actix_server=info"] {
            let text = logged(level, true);
            assert!(text.contains("starting 2 workers"), "{text}");
        }
    }
}
