//! The kinds of connection that can be taken over.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use actix_codec::{AsyncRead, AsyncWrite};
use fanfare_node::{Link, Socket};
use rustix::net::{Shutdown, shutdown};
use socket2::SockRef;
use tokio::net::{TcpStream, UnixStream};

use crate::bind::canonical;

/// Unsent bytes in the kernel beyond which a socket is full, in bytes. Without it a client that
/// does not read takes megabytes of the kernel's memory before anything waits here.
const NOTSENT_LOWAT: u32 = 64 * 1024;
/// Sent bytes that stay unacknowledged this long end the connection.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) trait Connection:
    AsyncRead + AsyncWrite + AsFd + Unpin + Sized + 'static
{
    /// The peer's address; none on a Unix socket.
    fn peer(&self) -> Option<SocketAddr>;

    /// Sets the options of a connection that has been accepted.
    fn tune(&self);

    /// The connection is no plain one any more: a handshake came on it.
    fn shakes_hands(&mut self) {}

    /// Whether it ends for the sake of another one.
    fn is_cut(&self) -> bool {
        false
    }

    /// Whether the client sent something behind its last request.
    fn is_muted(&self) -> bool {
        false
    }

    /// The socket for a session, with the options that sessions want.
    fn into_socket(self) -> Socket;

    fn link(&self) -> Link {
        Link::of(self)
    }

    /// Ends the write side, so that the last bytes arrive before the end of the connection.
    fn end(&self) {
        if let Err(error) = shutdown(self, Shutdown::Write) {
            tracing::trace!(%error, "shutdown of a refused handshake");
        }
    }
}

impl Connection for TcpStream {
    fn peer(&self) -> Option<SocketAddr> {
        self.peer_addr().ok().map(canonical)
    }

    fn tune(&self) {
        let socket = SockRef::from(self);
        let tuned = socket
            .set_tcp_notsent_lowat(NOTSENT_LOWAT)
            .and_then(|()| socket.set_tcp_user_timeout(Some(USER_TIMEOUT)));
        told(tuned);
    }

    fn into_socket(self) -> Socket {
        told(SockRef::from(&self).set_tcp_nodelay(true));
        Socket::Tcp(self)
    }
}

impl Connection for UnixStream {
    fn peer(&self) -> Option<SocketAddr> {
        None
    }

    fn tune(&self) {}

    fn into_socket(self) -> Socket {
        Socket::Unix(self)
    }
}

/// A connection that is already reset refuses options; whoever reads it sees the reset.
fn told(tuned: io::Result<()>) {
    if let Err(error) = tuned {
        tracing::debug!(%error, "socket options of a connection");
    }
}
