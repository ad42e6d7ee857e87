//! A socket of which little is read before the thread looks at its other sockets, and which does not
//! wait for ever for a client that reads nothing.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_codec::{AsyncRead, AsyncWrite, ReadBuf};
use fanfare_node::{Socket, wake_after_look};

use crate::connection::Connection;
use crate::connections::Place;
use crate::pipeline::Pipeline;
use crate::write_deadline::WriteDeadline;

/// What is read before the thread looks at its other sockets, in bytes: as many requests as fit are
/// decoded at one go.
const READ_BYTES: usize = 8 * 1024;

/// A connection until it is taken over.
pub(crate) struct Paced<T> {
    io: T,
    pipeline: Rc<Pipeline>,
    /// Among the connections of the thread.
    place: Option<Place>,
    /// Bytes read since the socket was empty or the thread looked at its sockets.
    read: usize,
    deadline: WriteDeadline,
}

impl<T> Paced<T> {
    pub(crate) fn new(
        io: T,
        pipeline: Rc<Pipeline>,
        place: Place,
        write_timeout: Duration,
    ) -> Self {
        Self {
            io,
            pipeline,
            place: Some(place),
            read: 0,
            deadline: WriteDeadline::new(write_timeout),
        }
    }

    pub(crate) fn io(&self) -> &T {
        &self.io
    }

    pub(crate) fn pipeline(&self) -> &Rc<Pipeline> {
        &self.pipeline
    }
}

impl<T: AsyncRead + Unpin> Paced<T> {
    /// A buffer that is much larger takes no more either.
    fn read_some(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() <= 2 * READ_BYTES {
            return Pin::new(&mut self.io).poll_read(cx, buffer);
        }
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(READ_BYTES));
        let read = Pin::new(&mut self.io).poll_read(cx, &mut part);
        let filled = part.filled().len();
        buffer.advance(filled);
        read
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Paced<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.pipeline.is_driven_by(cx.waker());
        if self.pipeline.is_cut() {
            // As if the client had ended: actix-http ends the connection then.
            return Poll::Ready(Ok(()));
        }
        if self.pipeline.holds() {
            return Poll::Pending;
        }
        if self.read >= READ_BYTES {
            self.read = 0;
            wake_after_look(cx);
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let read = self.read_some(cx, buffer);
        if read.is_pending() {
            self.read = 0;
            self.pipeline.emptied();
        } else {
            self.read += buffer.filled().len() - before;
            self.pipeline.progressed();
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Paced<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.pipeline.is_muted() {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        if written.is_ready() {
            self.deadline.progressed();
            self.pipeline.progressed();
            return written;
        }
        if self.pipeline.is_cut() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        ready!(self.deadline.poll_over(cx));
        if let Some(place) = &self.place {
            place.count_unread();
        }
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        self.pipeline.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl<T: AsFd> AsFd for Paced<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

impl<T: Connection> Connection for Paced<T> {
    fn peer(&self) -> Option<SocketAddr> {
        self.io.peer()
    }

    fn tune(&self) {
        self.io.tune();
    }

    fn shakes_hands(&mut self) {
        self.place = None;
    }

    fn is_cut(&self) -> bool {
        self.pipeline.is_cut()
    }

    fn is_muted(&self) -> bool {
        self.pipeline.is_muted()
    }

    fn into_socket(self) -> Socket {
        self.io.into_socket()
    }
}
