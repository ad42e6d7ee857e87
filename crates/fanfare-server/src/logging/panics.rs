//! Panics in the log. The standard hook writes to standard error itself: a full pipe would hold the
//! thread that panics for ever.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic;
use std::thread;

use super::FLUSH;
use super::writer::LossyWriter;

/// What the standard library says before it aborts the process, because a panic may not leave the
/// function that it came to.
const ABORTING: [&str; 2] = [
    "panic in a destructor during cleanup",
    "panic in a function that cannot unwind",
];

/// From now on a panic is one line of the log, with its backtrace if `RUST_BACKTRACE` asks for it.
pub(super) fn log(writer: LossyWriter) {
    panic::set_hook(Box::new(move |panic| {
        let backtrace = Backtrace::capture();
        let backtrace = matches!(backtrace.status(), BacktraceStatus::Captured)
            .then(|| tracing::field::display(&backtrace));
        let message = panic.payload_as_str().unwrap_or("no text");
        tracing::error!(
            thread = thread::current().name(),
            location = panic.location().map(tracing::field::display),
            backtrace,
            "panic: {message}"
        );
        if ABORTING.contains(&message) {
            writer.flush_within(FLUSH);
        }
    }));
}

#[cfg(test)]
mod tests {
    use std::io::pipe;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use fanfare_rig::Process;

    use crate::config::LogFormat;
    use crate::config::settings::Log;

    const LIMIT: Duration = Duration::from_secs(20);
    const PANICS: usize = 200;

    /// What a process logs that panics in many threads; empty with a log of the caller's.
    async fn panicking(log: Option<Stdio>) -> anyhow::Result<String> {
        let mut command = Command::new(std::env::current_exe()?);
        let name = "logging::panics::tests::panics_in_many_threads";
        command.args(["--exact", name, "--ignored", "--nocapture"]);
        command.env("RUST_BACKTRACE", "0");
        let mut process = Process::spawn_into("panics", command, None, log)?;
        let status = process.exit_status(LIMIT).await?;
        anyhow::ensure!(status.success(), "{status}");
        Ok(process.stderr())
    }

    #[test]
    #[ignore = "a process of its own, which the other tests start"]
    fn panics_in_many_threads() {
        let log = Log {
            format: LogFormat::Text,
            level: "info".to_owned(),
            access: false,
            audit: false,
        };
        let _logging = super::super::init(&log).expect("a log");
        for _ in 0..PANICS {
            let thread = std::thread::spawn(|| panic!("{}", "why".repeat(300)));
            assert!(thread.join().is_err());
        }
    }

    #[tokio::test]
    async fn a_panic_is_a_line_of_the_log() -> anyhow::Result<()> {
        let log = panicking(None).await?;
        let lines = log.lines().filter(|line| line.contains("panic: whywhy"));
        let lines: Vec<_> = lines.collect();
        assert_eq!(lines.len(), PANICS, "{log}");
        for part in ["ERROR", "location=", "panics.rs:"] {
            assert!(lines.iter().all(|line| line.contains(part)), "{part}");
        }
        assert_eq!(log.lines().count(), PANICS, "{log}");
        Ok(())
    }

    #[tokio::test]
    async fn a_panic_waits_for_no_reader() -> anyhow::Result<()> {
        let (_reader, writer) = pipe()?;
        panicking(Some(writer.into())).await?;
        Ok(())
    }
}
