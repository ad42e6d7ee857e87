//! What is logged on a test's own thread.
//!
//! One subscriber for the whole process, which writes into a buffer of each thread: a subscriber
//! that is a thread's own misses what other threads have logged first, because the interest in a
//! line is remembered for all of them.

use std::cell::RefCell;
use std::io;
use std::sync::Once;

thread_local! {
    static LINES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The lines of this thread, from [`Logs::of_this_thread`] on.
pub struct Logs(());

struct Lines;

impl Logs {
    /// Begins with nothing.
    pub fn of_this_thread() -> Self {
        static SUBSCRIBER: Once = Once::new();
        SUBSCRIBER.call_once(|| {
            let format = tracing_subscriber::fmt().with_writer(|| Lines);
            format.with_ansi(false).init();
        });
        LINES.take();
        Self(())
    }

    /// What has been logged since the last time.
    pub fn take(&self) -> String {
        String::from_utf8_lossy(&LINES.take()).into_owned()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.with_borrow_mut(|lines| lines.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
