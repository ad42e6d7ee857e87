//! Signals that must not end the server. [`Signals`](fanfare_gateway::Signals) has those that do.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Their default is to end the process at once. SIGPIPE is ignored from the start of every Rust
/// program: a write answers with an error. SIGQUIT keeps its default, which leaves a core file.
const IGNORED: [(&str, SignalKind); 4] = [
    ("SIGHUP", SignalKind::hangup()),
    ("SIGUSR1", SignalKind::user_defined1()),
    ("SIGUSR2", SignalKind::user_defined2()),
    ("SIGALRM", SignalKind::alarm()),
];

/// Logs these signals from now on, and does nothing else about them. Needs an actix system.
///
/// # Errors
/// When the system does not allow to catch them.
pub(crate) fn ignore() -> io::Result<()> {
    for (name, kind) in IGNORED {
        let mut caught = signal(kind)?;
        actix_rt::spawn(async move {
            while caught.recv().await.is_some() {
                tracing::warn!(signal = name, "the signal is ignored");
            }
        });
    }
    Ok(())
}
