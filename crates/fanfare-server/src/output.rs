//! Writes to standard output and standard error, whatever is behind them: a terminal, a pipe that
//! nobody reads, a full disk. Nothing here panics, and what the server calls waits for nobody.

use std::io;
use std::os::fd::AsFd;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

/// How long the last message of the process may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Writes all bytes, and moves the slice behind what is written. It takes no lock of the standard
/// library, which a thread that is stuck in a write would hold for ever.
///
/// # Errors
/// What the system says. The slice then has what was not written.
pub(crate) fn write_all(sink: impl AsFd, bytes: &mut &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(&sink, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => *bytes = bytes.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            // Whoever shares the pipe or the terminal may have made it non-blocking.
            Err(Errno::AGAIN) => match poll(&mut [PollFd::new(&sink, PollFlags::OUT)], None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            },
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Writes to standard output. It waits until somebody reads, so it is for commands.
///
/// # Errors
/// What the system says; [`io::ErrorKind::BrokenPipe`] when nobody reads any more.
pub(crate) fn write_stdout(mut bytes: &[u8]) -> io::Result<()> {
    write_all(io::stdout(), &mut bytes)
}

/// Prints the result of a command. A reader that has gone, as `head` does, is no error.
///
/// # Errors
/// What the system says.
pub(crate) fn print(text: &str) -> io::Result<()> {
    match write_stdout(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Prints on standard output from a thread of its own, so that nobody waits for the reader.
pub(crate) fn print_aside(what: &'static str, text: String) {
    let failed = move |error: io::Error| tracing::warn!(%error, "the {what} cannot be printed");
    let printing = thread::Builder::new()
        .name(format!("fanfare-{what}"))
        .spawn(move || write_stdout(text.as_bytes()).unwrap_or_else(failed));
    if let Err(error) = printing {
        failed(error);
    }
}

/// Says something short on standard error, for at most a second: a reader that is stuck must not
/// keep the process.
pub(crate) fn tell(text: String) {
    let (done, written) = mpsc::sync_channel::<()>(1);
    let writing = thread::Builder::new().spawn(move || {
        // There is nowhere left to say that it failed.
        let _ = write_all(io::stderr(), &mut text.as_bytes());
        drop(done);
    });
    if writing.is_ok() {
        let _ = written.recv_timeout(LAST_WORDS);
    }
}
