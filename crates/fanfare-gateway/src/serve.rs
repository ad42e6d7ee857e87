//! Runs a server, from the first request to the end of its drain.

use std::fmt;
use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::pin::pin;

use actix_server::ServerHandle;
use fanfare_web::Host;
use futures_util::future::join;

use crate::bind::Bind;
use crate::drain::{DrainOptions, drain};
use crate::listeners::Listeners;
use crate::signals::Signals;
use crate::{BindError, IntoBinds};

/// A server that listens on its addresses and does not accept connections yet.
pub struct Bound {
    host: Host,
    listeners: Listeners,
    drain: DrainOptions,
    on_drain: Box<dyn FnOnce()>,
}

/// Why a server ended with an error. `Debug` prints the same text as `Display`, because Rust prints
/// `Debug` if `main` returns this error.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The signals cannot be caught.
    #[error("cannot catch signals: {0}")]
    Signals(io::Error),
    /// The listener failed.
    #[error("the listener failed: {0}")]
    Listener(io::Error),
    /// The listener ended without a signal.
    #[error("the listener ended by itself")]
    Ended,
    /// A second signal came during the drain.
    #[error("{signal} again: ended without waiting")]
    Interrupted {
        /// Its name.
        signal: &'static str,
    },
}

impl fmt::Debug for ServeError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl Bound {
    pub(crate) fn new(host: Host, listeners: Listeners) -> Self {
        Self {
            host,
            listeners,
            drain: DrainOptions::default(),
            on_drain: Box::new(|| ()),
        }
    }

    /// Listens on more addresses. It listens on all of them or on none.
    ///
    /// # Errors
    /// [`BindError`] for the first address that cannot be listened on.
    pub fn bind(mut self, binds: impl IntoBinds) -> Result<Self, BindError> {
        self.listeners = self.listeners.bind(binds)?;
        Ok(self)
    }

    /// Accepts from one more TCP listener that the program made.
    ///
    /// # Errors
    /// [`BindError`] when the system refuses it.
    pub fn listen(mut self, listener: TcpListener) -> Result<Self, BindError> {
        self.listeners = self.listeners.listen_tcp(listener)?;
        Ok(self)
    }

    /// Accepts from one more Unix listener that the program made.
    ///
    /// # Errors
    /// [`BindError`] when the system refuses it.
    pub fn listen_uds(mut self, listener: UnixListener) -> Result<Self, BindError> {
        self.listeners = self.listeners.listen_unix(listener)?;
        Ok(self)
    }

    /// The addresses on which the server listens. Port 0 is replaced by the port that the system
    /// has chosen.
    pub fn addresses(&self) -> &[Bind] {
        &self.listeners.addresses
    }

    /// Sets how long the steps of the drain in [`serve`](Self::serve) take.
    #[must_use]
    pub fn drain(mut self, options: DrainOptions) -> Self {
        self.drain = options;
        self
    }

    /// Sets a function that [`serve`](Self::serve) calls when the drain begins, before its grace.
    /// From then on [`Host::is_draining`] is true, and the program should report that it is not
    /// ready.
    #[must_use]
    pub fn on_drain(mut self, hook: impl FnOnce() + 'static) -> Self {
        self.on_drain = Box::new(hook);
        self
    }

    /// Accepts connections. The future is ready when [`ServerHandle::stop`] has been called and the
    /// worker threads have ended. A graceful stop gives running requests the time of
    /// [`Server::shutdown_timeout`](crate::Server::shutdown_timeout).
    pub fn run(self) -> (ServerHandle, impl Future<Output = io::Result<()>>) {
        let server = self.listeners.builder.run();
        (server.handle(), server)
    }

    /// Accepts connections, and drains on SIGTERM or SIGINT. After the grace, handshakes get 503,
    /// sessions are closed with 1001, the listener ends, and the subscriptions are removed from the
    /// layer. Returns when all of that is done.
    ///
    /// # Errors
    /// [`ServeError`]. A second signal returns [`ServeError::Interrupted`] at once, so that the
    /// program can end.
    pub async fn serve(self) -> Result<(), ServeError> {
        let signals = Signals::catch().map_err(ServeError::Signals)?;
        self.serve_with(signals).await
    }

    /// Like [`serve`](Self::serve), with signals that have been caught since the start of the
    /// program.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn serve_with(self, mut signals: Signals) -> Result<(), ServeError> {
        let server = self.listeners.builder.run();
        let handle = server.handle();
        let mut server = pin!(server);
        tokio::select! {
            ended = &mut server => {
                ended.map_err(ServeError::Listener)?;
                return Err(ServeError::Ended);
            }
            signal = signals.next() => {
                tracing::info!(signal, "draining; a second signal ends the process at once");
            }
        }
        self.host.start_draining();
        (self.on_drain)();
        let end = join(server, drain(&self.drain, self.host.node(), &handle));
        tokio::select! {
            (listener, ()) = end => listener.map_err(ServeError::Listener),
            signal = signals.next() => Err(ServeError::Interrupted { signal }),
        }
    }
}

/// Where it listens, as people open it: `http://127.0.0.1:8000`. Several are separated by commas.
impl fmt::Display for Bound {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, bind) in self.listeners.addresses.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            let scheme = if matches!(bind, Bind::Tcp(_)) {
                "http://"
            } else {
                ""
            };
            write!(out, "{comma}{scheme}{bind}")?;
        }
        Ok(())
    }
}
