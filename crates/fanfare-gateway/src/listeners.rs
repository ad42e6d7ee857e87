//! The listeners of a server, independent of the type of its App.

use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use actix_server::ServerBuilder;

use crate::address::IntoBinds;
use crate::bind::{Bind, BindError, Listener, canonical};

/// Adds a listener of an App to a server.
type Add = Box<dyn Fn(ServerBuilder, String, Listener) -> io::Result<ServerBuilder>>;

/// A server under construction and the addresses that it listens on.
pub(crate) struct Listeners {
    pub(crate) builder: ServerBuilder,
    pub(crate) addresses: Vec<Bind>,
    backlog: i32,
    /// The mode of Unix sockets; none leaves it to the umask.
    socket_mode: Option<u32>,
    add: Add,
}

impl Listeners {
    pub(crate) fn new(
        builder: ServerBuilder,
        backlog: u32,
        socket_mode: Option<u32>,
        add: Add,
    ) -> Self {
        Self {
            builder,
            addresses: Vec::new(),
            // The system lowers it to what it allows.
            backlog: i32::try_from(backlog).unwrap_or(i32::MAX),
            socket_mode,
            add,
        }
    }

    /// Listens on all addresses or on none.
    pub(crate) fn bind(mut self, binds: impl IntoBinds) -> Result<Self, BindError> {
        let mut listeners = Vec::new();
        for bind in binds.into_binds()? {
            listeners.push(bind.listen(self.backlog, self.socket_mode)?);
        }
        for (bind, listener) in listeners {
            self = self.listen(bind, listener)?;
        }
        Ok(self)
    }

    pub(crate) fn listen_tcp(self, listener: TcpListener) -> Result<Self, BindError> {
        match listener.local_addr() {
            Ok(address) => self.listen(Bind::Tcp(canonical(address)), Listener::Tcp(listener)),
            Err(error) => Err(BindError::refused("a TCP listener", error)),
        }
    }

    pub(crate) fn listen_unix(self, listener: UnixListener) -> Result<Self, BindError> {
        let path = listener.local_addr().map(|address| {
            // A socket without a path has no other name that people could use.
            address.as_pathname().unwrap_or("".as_ref()).to_path_buf()
        });
        match path {
            Ok(path) => self.listen(Bind::Unix(path), Listener::Unix(listener)),
            Err(error) => Err(BindError::refused("a Unix listener", error)),
        }
    }

    fn listen(mut self, bind: Bind, listener: Listener) -> Result<Self, BindError> {
        let name = bind.to_string();
        let added = (self.add)(self.builder, name.clone(), listener);
        self.builder = added.map_err(|error| BindError::refused(name, error))?;
        self.addresses.push(bind);
        Ok(self)
    }
}
