//! The end of an HTTP connection that nobody used for too long, or whose first head is too long.
//!
//! A request that crosses the close of its connection would get no answer, and its client could not
//! know whether it was carried out. So the close begins with a 408, which says that it was not (RFC
//! 9110 §15.5.9), and ends when the client has closed too: a socket that is dropped with unread
//! bytes is reset, and the reset overtakes the answer.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use actix_codec::{AsyncRead, AsyncWrite, ReadBuf};
use actix_http::KeepAlive;
use actix_http::body::MessageBody as _;
use actix_web::ResponseError as _;
use actix_web::http::header::RETRY_AFTER;
use fanfare_node::{Socket, wake_after_look};
use fanfare_web::{Code, Refusal};

use crate::connection::Connection;
use crate::head_limit::{FirstHead, HeadLimits, Progress};

/// How long a connection stays open beyond the time that is configured. A request that was on its
/// way at that time is served. actix-http measures with a clock that is up to half a second late.
const GRACE: Duration = Duration::from_secs(1);

/// How many KiB of what is dropped are read at once.
const DROPS: usize = 16;

/// A connection until it is taken over.
pub(crate) struct Idle<T> {
    io: T,
    keep_alive: Option<Duration>,
    /// When bytes were last read or written.
    used: Instant,
    /// The client has ended its side.
    ended: bool,
    /// The first head, until it is there or refused.
    first: Option<FirstHead>,
    close: Close,
}

#[derive(PartialEq, Eq)]
enum Close {
    No,
    /// The 408 is written, or its rest is given up.
    Told,
    /// Our side is shut. What the client still sends is read and dropped.
    Shut,
}

/// What actix-http is to keep: the grace is part of it.
pub(crate) fn with_grace(keep_alive: KeepAlive) -> KeepAlive {
    match keep_alive {
        KeepAlive::Timeout(limit) if !limit.is_zero() => KeepAlive::Timeout(limit + GRACE),
        other => other,
    }
}

impl<T> Idle<T> {
    /// `keep_alive` is without the grace.
    pub(crate) fn new(io: T, keep_alive: KeepAlive, limits: HeadLimits) -> Self {
        let keep_alive = match keep_alive {
            KeepAlive::Timeout(limit) => Some(limit).filter(|limit| !limit.is_zero()),
            _ => None,
        };
        Self {
            io,
            keep_alive,
            used: Instant::now(),
            ended: false,
            first: Some(FirstHead::new(limits)),
            close: Close::No,
        }
    }

    pub(crate) fn io(&self) -> &T {
        &self.io
    }

    /// Whether the connection is closed because it was not used. A close for any other reason
    /// follows at once on something that was read or written.
    fn is_over(&self) -> bool
    where
        T: Connection,
    {
        let limit = self.keep_alive;
        self.io.is_cut() || !self.ended && limit.is_some_and(|limit| self.used.elapsed() >= limit)
    }
}

impl<T: Connection> Idle<T> {
    /// Answers for actix-http, which has no hook for it. Nothing was written before, so the socket
    /// takes all of it at once or never.
    fn refuse(&mut self, cx: &mut Context<'_>, refusal: &Refusal) {
        let _ = Pin::new(&mut self.io).poll_write(cx, &last_answer(refusal));
        self.io.end();
        self.close = Close::Shut;
    }

    /// Reads and drops what the client still sends, until it ends. A client that sends without
    /// pause gets no more than a turn of it.
    fn poll_drop(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut dropped = [0; 1024];
        for _ in 0..DROPS {
            let mut buffer = ReadBuf::new(&mut dropped);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
        wake_after_look(cx);
        Poll::Pending
    }
}

impl<T: Connection> AsyncRead for Idle<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.close == Close::Shut {
            return this.poll_drop(cx);
        }
        if this.io.is_cut() {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buffer))?;
        let arrived = buffer.filled().get(before..).unwrap_or_default();
        this.ended |= arrived.is_empty() && buffer.remaining() > 0;
        this.used = Instant::now();
        match this.first.as_mut().map(|first| first.take(arrived)) {
            None | Some(Ok(Progress::Unfinished)) => {}
            Some(Ok(Progress::Finished)) => this.first = None,
            Some(Err(too_long)) => {
                this.first = None;
                buffer.set_filled(before);
                this.refuse(cx, &too_long.refusal());
                return this.poll_drop(cx);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: Connection> AsyncWrite for Idle<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write(cx, bytes))?;
        self.used = Instant::now();
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    /// Ends our side. After a connection that was not used, waits for the client's end too;
    /// actix-http has a limit for that.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.close == Close::No && self.is_over() {
            self.close = Close::Told;
            // The socket is empty, so it takes all of it at once or never.
            let _ = Pin::new(&mut self.io).poll_write(cx, &last_answer(&goodbye()));
        }
        if self.close != Close::Shut {
            ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
            if self.io.is_muted() || self.io.is_cut() {
                // What has come already, so that it does not reset the connection.
                let _waits = self.poll_drop(cx);
                return Poll::Ready(Ok(()));
            }
            if self.close == Close::No {
                return Poll::Ready(Ok(()));
            }
            self.close = Close::Shut;
        }
        self.poll_drop(cx)
    }
}

impl<T: AsFd> AsFd for Idle<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

impl<T: Connection> Connection for Idle<T> {
    fn peer(&self) -> Option<SocketAddr> {
        self.io.peer()
    }

    fn tune(&self) {
        self.io.tune();
    }

    fn shakes_hands(&mut self) {
        self.io.shakes_hands();
    }

    fn into_socket(self) -> Socket {
        self.io.into_socket()
    }
}

fn goodbye() -> Refusal {
    Refusal::new(
        Code::ConnectionIdle,
        "the connection was not used for too long and is closed; nothing was done: send the \
         request again on another connection",
    )
}

/// A refusal as a whole response, behind which the connection ends.
pub(crate) fn last_answer(refusal: &Refusal) -> Vec<u8> {
    let response = refusal.error_response();
    let status = response.status();
    let retry = response.headers().get(RETRY_AFTER);
    let retry = retry.and_then(|seconds| seconds.to_str().ok());
    let retry = retry.map_or_else(String::new, |seconds| format!("Retry-After: {seconds}\r\n"));
    let body = response.into_body().try_into_bytes().unwrap_or_default();
    let head = format!(
        "HTTP/1.1 {} {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n{}Content-Length: {}\r\n\r\n",
        status.as_str(),
        status.canonical_reason().unwrap_or_default(),
        retry,
        body.len()
    );
    [head.as_bytes(), &body].concat()
}
