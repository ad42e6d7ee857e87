//! Where a server listens.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait to be accepted: a reconnect storm arrives at once.
const BACKLOG: i32 = 4096;

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bind {
    /// TCP; port 0 takes a free one.
    Tcp(SocketAddr),
    /// A Unix socket at a path; a socket that nobody listens on any more is replaced.
    Unix(PathBuf),
}

/// Why an address cannot be listened on. `Debug` says the same as `Display`: it is what a program
/// prints whose `main` answers with this.
#[derive(thiserror::Error)]
#[error("cannot listen on {address}: {error}")]
pub struct BindError {
    /// The address, as it was given.
    pub address: String,
    /// What the system answered; [`io::ErrorKind::InvalidInput`] when it is no address.
    pub error: io::Error,
}

impl fmt::Debug for BindError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(out, "{address}"),
            Self::Unix(path) => write!(out, "unix:{}", path.display()),
        }
    }
}

pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Bind {
    /// Listens; answers the address with the port that was taken.
    pub(crate) fn listen(self) -> Result<(Self, Listener), BindError> {
        let listening = match &self {
            Self::Tcp(address) => tcp(*address),
            Self::Unix(path) => unix(path),
        };
        match listening {
            Ok(Listener::Tcp(listener)) => match listener.local_addr() {
                Ok(address) => Ok((Self::Tcp(address), Listener::Tcp(listener))),
                Err(error) => Err(self.refused(error)),
            },
            Ok(listener) => Ok((self, listener)),
            Err(error) => Err(self.refused(error)),
        }
    }

    pub(crate) fn refused(&self, error: io::Error) -> BindError {
        BindError {
            address: self.to_string(),
            error,
        }
    }
}

fn tcp(address: SocketAddr) -> io::Result<Listener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(Listener::Tcp(socket.into()))
}

fn unix(path: &Path) -> io::Result<Listener> {
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            if !is_abandoned(path) {
                return Err(error);
            }
            std::fs::remove_file(path)?;
            UnixListener::bind(path).map(Listener::Unix)
        }
        bound => bound.map(Listener::Unix),
    }
}

/// Whether there is a socket that nobody listens on; any other file is somebody's.
fn is_abandoned(path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    is_socket
        && UnixStream::connect(path)
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}
