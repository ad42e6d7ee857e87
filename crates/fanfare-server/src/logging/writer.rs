//! The writer behind the log: it never holds up who logs.
//!
//! Lines go into a bounded buffer, and a thread of its own writes them. A line that finds no room
//! and a line that cannot be written are counted as lost. `tracing-appender` has such a writer too,
//! but it bounds the number of lines and not their bytes, does not count what fails in the write,
//! and its guard prints with `println!` when the thread is stuck, which panics or blocks.

use std::io;
use std::mem;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use prometheus::IntCounter;

use crate::output;

/// How many bytes wait at most. The thread has as many again in hand.
const CAPACITY: usize = 4 << 20;
/// How many bytes of room a buffer keeps after a burst.
const KEPT: usize = 64 << 10;

/// The writer. Clones write to the same thread.
#[derive(Clone)]
pub(super) struct LossyWriter(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    /// Wakes the thread: there are lines.
    filled: Condvar,
    /// Wakes who waits for the end: all lines are written or lost.
    idle: Condvar,
    lost: IntCounter,
}

#[derive(Default)]
struct Queue {
    lines: Vec<u8>,
    /// The thread is writing what it has taken.
    writing: bool,
}

impl LossyWriter {
    /// Starts the thread. It lives as long as the process.
    ///
    /// # Errors
    /// When the system has no thread.
    pub(super) fn start(
        sink: impl AsFd + Send + 'static,
        lost: IntCounter,
    ) -> io::Result<LossyWriter> {
        let writer = Self(Arc::new(Shared {
            queue: Mutex::default(),
            filled: Condvar::new(),
            idle: Condvar::new(),
            lost,
        }));
        let shared = Arc::clone(&writer.0);
        thread::Builder::new()
            .name("fanfare-log".to_owned())
            .spawn(move || shared.run(sink))?;
        Ok(writer)
    }

    /// Waits until everything that was logged is written or lost, for at most `limit`. Whether it
    /// is.
    pub(super) fn flush_within(&self, limit: Duration) -> bool {
        let mut queue = self.0.queue.lock();
        let busy = |queue: &mut Queue| queue.writing || !queue.lines.is_empty();
        let waited = self.0.idle.wait_while_for(&mut queue, busy, limit);
        !waited.timed_out()
    }
}

/// One call is one line, as `tracing_subscriber` writes it. It succeeds always.
impl io::Write for LossyWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut queue = self.0.queue.lock();
        if queue.lines.len() + line.len() > CAPACITY {
            drop(queue);
            self.0.lost.inc();
        } else {
            let first = queue.lines.is_empty();
            queue.lines.extend_from_slice(line);
            drop(queue);
            if first {
                self.0.filled.notify_one();
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn run(&self, sink: impl AsFd) {
        let mut batch = Vec::new();
        // The sink ends in the middle of a line: the next line must not continue it.
        let mut torn = false;
        let mut told = 0;
        loop {
            self.take(&mut batch);
            let (mut end, mut rest) = (if torn { &b"\n"[..] } else { b"" }, batch.as_slice());
            let written = output::write_all(&sink, &mut end)
                .and_then(|()| output::write_all(&sink, &mut rest));
            let last = batch.len().checked_sub(rest.len() + 1);
            torn = last
                .and_then(|last| batch.get(last))
                .map_or(torn, |last| *last != b'\n');
            if written.is_err() {
                let lines = rest.iter().filter(|byte| **byte == b'\n').count();
                self.lost.inc_by(lines as u64);
            }
            batch.clear();
            batch.shrink_to(KEPT);
            let lost = self.lost.get();
            if written.is_ok() && lost > told {
                tracing::warn!(lines = lost - told, "log lines were lost");
                told = lost;
            }
        }
    }

    /// Waits for lines, and takes all of them.
    fn take(&self, batch: &mut Vec<u8>) {
        let mut queue = self.queue.lock();
        queue.writing = false;
        if queue.lines.is_empty() {
            self.idle.notify_all();
            self.filled
                .wait_while(&mut queue, |queue| queue.lines.is_empty());
        }
        queue.writing = true;
        mem::swap(&mut queue.lines, batch);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::{Read as _, Write as _};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn counter() -> IntCounter {
        IntCounter::new("lost", "for a test").expect("a counter")
    }

    #[test]
    fn a_pipe_that_nobody_reads_blocks_nobody_and_what_is_lost_is_counted() {
        let (mut reader, sink) = io::pipe().expect("a pipe");
        let lost = counter();
        let mut writer = LossyWriter::start(sink, lost.clone()).expect("a thread");
        let line = [&[b'x'; 999][..], b"\n"].concat();
        let count = 3 * CAPACITY / line.len();
        for _ in 0..count {
            writer.write_all(&line).expect("it never fails");
        }
        assert!(lost.get() > 0);
        assert!(!writer.flush_within(Duration::from_millis(50)), "stuck");
        // Once somebody reads, everything that was not counted arrives, whole.
        let expected = count - usize::try_from(lost.get()).expect("few");
        let mut bytes = vec![0; expected * line.len()];
        reader.read_exact(&mut bytes).expect("the lines");
        assert!(bytes.chunks(line.len()).all(|read| read == line));
        assert!(writer.flush_within(LIMIT));
    }

    #[test]
    fn a_reader_that_has_gone_and_a_full_disk_lose_every_line_and_count_it() {
        let (reader, gone) = io::pipe().expect("a pipe");
        drop(reader);
        let full = OpenOptions::new().write(true).open("/dev/full");
        let lost = counter();
        let mut to_gone = LossyWriter::start(gone, lost.clone()).expect("a thread");
        let full = full.expect("/dev/full");
        let mut to_full = LossyWriter::start(full, lost.clone()).expect("a thread");
        for _ in 0..10 {
            to_gone.write_all(b"a line\n").expect("it never fails");
            to_full.write_all(b"a line\n").expect("it never fails");
        }
        assert!(to_gone.flush_within(LIMIT) && to_full.flush_within(LIMIT));
        assert_eq!(lost.get(), 20);
    }

    #[test]
    fn what_a_non_blocking_pipe_does_not_take_at_once_is_written_later() {
        let (mut reader, sink) = io::pipe().expect("a pipe");
        rustix::io::ioctl_fionbio(&sink, true).expect("non-blocking");
        let lost = counter();
        let mut writer = LossyWriter::start(sink, lost.clone()).expect("a thread");
        let line = [&[b'x'; 999][..], b"\n"].concat();
        for _ in 0..1000 {
            writer.write_all(&line).expect("it never fails");
        }
        let mut bytes = vec![0; 1000 * line.len()];
        reader.read_exact(&mut bytes).expect("the lines");
        assert!(writer.flush_within(LIMIT));
        assert_eq!(lost.get(), 0);
    }
}
