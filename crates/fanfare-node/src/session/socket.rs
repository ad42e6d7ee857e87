//! The sockets a session can own.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::net::Shutdown;
use tokio::io::{AsyncRead as _, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::fan_out::{MAX_SLICES, Outbox, unacknowledged};

/// The socket that a session will take over, known before its handshake is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    fd: RawFd,
}

/// A connection whose handshake has been answered.
#[derive(Debug)]
pub enum Socket {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a Unix socket.
    Unix(UnixStream),
}

impl Socket {
    pub(crate) fn link(&self) -> Link {
        match self {
            Self::Tcp(socket) => Link::of(socket),
            Self::Unix(socket) => Link::of(socket),
        }
    }

    /// Reads into `buffer`; 0 bytes is the end.
    pub(crate) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut into = ReadBuf::new(buffer);
        let read = match self {
            Self::Tcp(socket) => Pin::new(socket).poll_read(context, &mut into),
            Self::Unix(socket) => Pin::new(socket).poll_read(context, &mut into),
        };
        read.map_ok(|()| into.filled().len())
    }

    /// Writes the outbox until it is empty or the socket is full; answers the bytes written too.
    /// Goes through tokio's readiness, so that a send elsewhere on the descriptor that found the
    /// socket full cannot leave this waiting for an edge that has passed.
    pub(crate) fn poll_drain(
        &self,
        context: &mut Context<'_>,
        outbox: &mut Outbox,
    ) -> (usize, Poll<io::Result<()>>) {
        let mut total = 0;
        while !outbox.is_empty() {
            match self.poll_write_ready(context) {
                Poll::Ready(Ok(())) => {}
                unready => return (total, unready),
            }
            match self.try_writev(outbox) {
                Ok(sent) => {
                    outbox.advance(sent);
                    total += sent;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return (total, Poll::Ready(Err(error))),
            }
        }
        (total, Poll::Ready(Ok(())))
    }

    /// Bytes that the peer has not acknowledged, as far as the system knows: over TCP those that its
    /// machine has not, over a Unix socket the memory of what the peer has not read.
    pub(crate) fn unacknowledged(&self) -> u32 {
        match self {
            Self::Tcp(socket) => unacknowledged(socket),
            Self::Unix(socket) => unacknowledged(socket),
        }
    }

    fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(socket) => socket.poll_write_ready(context),
            Self::Unix(socket) => socket.poll_write_ready(context),
        }
    }

    fn try_writev(&self, outbox: &Outbox) -> io::Result<usize> {
        let mut slices = [io::IoSlice::new(&[]); MAX_SLICES];
        let filled = outbox.slices(&mut slices);
        let slices = slices.get(..filled).unwrap_or_default();
        match self {
            Self::Tcp(socket) => socket.try_io(Interest::WRITABLE, || {
                Ok(rustix::io::writev(socket, slices)?)
            }),
            Self::Unix(socket) => socket.try_io(Interest::WRITABLE, || {
                Ok(rustix::io::writev(socket, slices)?)
            }),
        }
    }

    /// Ends the write side: the peer sees the end of the stream after the last byte.
    pub(crate) fn shutdown(&self) {
        let done = match self {
            Self::Tcp(socket) => rustix::net::shutdown(socket, Shutdown::Write),
            Self::Unix(socket) => rustix::net::shutdown(socket, Shutdown::Write),
        };
        if let Err(error) = done {
            // The peer has gone already; the read side sees it too.
            tracing::trace!(%error, "shutdown of a socket");
        }
    }
}

impl Link {
    /// The link of a connection that will become a session's socket.
    pub fn of(connection: &impl AsFd) -> Self {
        Self {
            fd: connection.as_fd().as_raw_fd(),
        }
    }

    pub(crate) fn fd(self) -> RawFd {
        self.fd
    }
}
