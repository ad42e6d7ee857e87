//! The sockets of a run in one epoll set, and how many bytes each has received.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::io::Errno;

use super::SURPLUS_WAIT;
use super::payload::FRAME_BYTES;

/// A socket's worth of a burst in one read.
const READ_BYTES: usize = 256 * 1024;

/// Event data of a socket that is not one of the counted sessions.
const GUEST: u64 = u64::MAX;

/// Sessions whose bytes are counted.
pub(super) struct Sessions {
    poll: OwnedFd,
    sockets: Vec<TcpStream>,
    received: Vec<u64>,
    events: Vec<Event>,
    buffer: Vec<u8>,
}

/// What came in for one session: its place, its bytes before and after.
#[derive(Debug, Clone, Copy)]
pub(super) struct Growth {
    /// Place of the session.
    pub(super) index: usize,
    /// Bytes it had received.
    pub(super) before: u64,
    /// Bytes it has received now.
    pub(super) after: u64,
}

impl Sessions {
    /// Puts nonblocking sockets into a new epoll set; takes up to `batch` events at a time.
    pub(super) fn new(sockets: Vec<TcpStream>, batch: usize) -> anyhow::Result<Self> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for (index, socket) in sockets.iter().enumerate() {
            let data = EventData::new_u64(index as u64);
            epoll::add(&poll, socket, data, EventFlags::IN)?;
        }
        Ok(Self {
            poll,
            received: vec![0; sockets.len()],
            sockets,
            events: Vec::with_capacity(batch),
            buffer: vec![0; READ_BYTES],
        })
    }

    /// Lets another socket end a wait; who owns it reads it.
    pub(super) fn wake_for(&self, guest: &TcpStream) -> anyhow::Result<()> {
        epoll::add(&self.poll, guest, EventData::new_u64(GUEST), EventFlags::IN)?;
        Ok(())
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Bytes that each has received.
    pub(super) fn received(&self) -> &[u64] {
        &self.received
    }

    /// Writes whole frames on one session.
    ///
    /// # Errors
    /// The socket takes less: the server does not read while little is in flight.
    pub(super) fn write(&self, index: usize, frames: &[u8]) -> anyhow::Result<()> {
        let mut socket = self.sockets.get(index).context("no such session")?;
        socket
            .write_all(frames)
            .with_context(|| format!("session {index} cannot publish"))
    }

    /// Waits for bytes and tells `grown` of each session that got some. Answers how many sockets
    /// were ready, 0 when the time was up.
    ///
    /// # Errors
    /// A session was closed, or what `grown` answers.
    pub(super) fn receive(
        &mut self,
        timeout: Duration,
        mut grown: impl FnMut(&Self, Growth) -> anyhow::Result<()>,
    ) -> anyhow::Result<usize> {
        let mut events = std::mem::take(&mut self.events);
        let mut buffer = std::mem::take(&mut self.buffer);
        events.clear();
        let timeout = Timespec::try_from(timeout)?;
        let ready = match epoll::wait(&self.poll, spare_capacity(&mut events), Some(&timeout)) {
            Ok(ready) => ready,
            Err(Errno::INTR) => 0,
            Err(error) => return Err(error.into()),
        };
        for event in &events {
            let data = event.data;
            if data.u64() != GUEST {
                let growth = self.read(data.u64() as usize, &mut buffer)?;
                grown(self, growth)?;
            }
        }
        self.events = events;
        self.buffer = buffer;
        Ok(ready)
    }

    fn read(&mut self, index: usize, buffer: &mut [u8]) -> anyhow::Result<Growth> {
        let mut socket = self.sockets.get(index).context("no such session")?;
        let received = self.received.get_mut(index).context("no such session")?;
        let before = *received;
        match socket.read(buffer) {
            Ok(0) => bail!("the server closed session {index}"),
            Ok(read) => *received += read as u64,
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error).with_context(|| format!("session {index} failed")),
        }
        Ok(Growth {
            index,
            before,
            after: *received,
        })
    }

    /// Reads exactly one frame from a session, blocking, and compares it.
    ///
    /// # Errors
    /// Something else came, or nothing within the socket's timeout.
    pub(super) fn expect_frame(&mut self, index: usize, frame: &[u8]) -> anyhow::Result<()> {
        let mut socket = self.sockets.get(index).context("no such session")?;
        let mut got = vec![0; frame.len()];
        socket.set_nonblocking(false)?;
        socket
            .read_exact(&mut got)
            .with_context(|| format!("session {index} did not get the message"))?;
        socket.set_nonblocking(true)?;
        if got != frame {
            bail!("session {index} got another frame than was published: {got:?}");
        }
        if let Some(received) = self.received.get_mut(index) {
            *received += got.len() as u64;
        }
        Ok(())
    }

    /// Checks, after a run, that each session has exactly the frames that are its due, and that
    /// none follows.
    ///
    /// # Errors
    /// One has less, more, or part of a frame.
    pub(super) fn expect_all(&mut self, due: impl Fn(usize) -> u64) -> anyhow::Result<()> {
        // A guest with something to read ends every wait at once, so the clock decides.
        let start = Instant::now();
        while start.elapsed() < SURPLUS_WAIT {
            self.receive(SURPLUS_WAIT, |_, _| Ok(()))?;
        }
        for (index, received) in self.received.iter().enumerate() {
            let due = due(index) * FRAME_BYTES;
            if *received != due {
                bail!("session {index} received {received} bytes where {due} were its due");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_guest_with_unread_bytes_does_not_hold_up_the_end_of_a_run() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let guest = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        peer.write_all(b"answer").unwrap();
        let mut sessions = Sessions::new(Vec::new(), 8).unwrap();
        sessions.wake_for(&guest).unwrap();
        sessions.expect_all(|_| 0).unwrap();
    }
}
