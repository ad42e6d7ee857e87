//! The listening sockets of a server.

use std::fmt;
use std::fs::{File, Permissions};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bind {
    /// TCP. Port 0 takes a free port.
    Tcp(SocketAddr),
    /// A Unix socket at a path. A socket file on which no process listens is replaced.
    Unix(PathBuf),
}

/// Why a server cannot listen. `Debug` prints the same text as `Display`, because Rust prints
/// `Debug` if `main` returns this error.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The server cannot listen on this address.
    #[error("cannot listen on {address}: {error}")]
    Address {
        /// The address, as it was given.
        address: String,
        /// What the system answered; [`io::ErrorKind::InvalidInput`] when it is no address.
        error: io::Error,
    },
    /// A number of worker threads that a server cannot have.
    #[error("a server has 1 to {most} worker threads, not {workers}")]
    Workers {
        /// The number that was given.
        workers: usize,
        /// The highest possible number.
        most: usize,
    },
}

impl BindError {
    pub(crate) fn refused(address: impl Into<String>, error: io::Error) -> Self {
        Self::Address {
            address: address.into(),
            error,
        }
    }
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
    pub(crate) fn listen(
        self,
        backlog: i32,
        mode: Option<u32>,
    ) -> Result<(Self, Listener), BindError> {
        let listening = match &self {
            Self::Tcp(address) => tcp(*address, backlog),
            Self::Unix(path) => unix(path, backlog, mode),
        };
        match listening {
            Ok(Listener::Tcp(listener)) => match listener.local_addr() {
                Ok(address) => Ok((Self::Tcp(canonical(address)), Listener::Tcp(listener))),
                Err(error) => Err(BindError::refused(self.to_string(), error)),
            },
            Ok(listener) => Ok((self, listener)),
            Err(error) => Err(BindError::refused(self.to_string(), error)),
        }
    }
}

/// A socket for both families shows IPv4 addresses as IPv6 addresses.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn tcp(address: SocketAddr, backlog: i32) -> io::Result<Listener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    Ok(Listener::Tcp(socket.into()))
}

fn unix(path: &Path, backlog: i32, mode: Option<u32>) -> io::Result<Listener> {
    let address = SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    let mode = mode.map(Permissions::from_mode);
    if let Some(mode) = &mode {
        // The file that bind makes has the mode of the socket, less the umask: so it is at no time
        // open to more than it is in the end.
        File::from(OwnedFd::from(socket.try_clone()?)).set_permissions(mode.clone())?;
    }
    match socket.bind(&address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            if !is_abandoned(path) {
                return Err(error);
            }
            std::fs::remove_file(path)?;
            socket.bind(&address)?;
        }
        bound => bound?,
    }
    if let Some(mode) = mode {
        std::fs::set_permissions(path, mode)?;
    }
    socket.listen(backlog)?;
    Ok(Listener::Unix(socket.into()))
}

/// Whether there is a socket that nobody listens on; any other file is somebody's.
fn is_abandoned(path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    is_socket
        && UnixStream::connect(path)
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}
