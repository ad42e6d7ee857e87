//! The node that serves a request.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::{HttpMessage as _, HttpRequest};
use fanfare_node::{Link, Node};

/// The node whose sessions take over the connections of a listener. It can also hold the handle
/// with which applications publish.
///
/// A listener adds it to the data of every connection.
#[derive(Clone)]
pub struct Host {
    node: Node,
    handle: Option<Arc<dyn Any + Send + Sync>>,
    draining: Arc<AtomicBool>,
}

impl Host {
    /// A node and the application's handle on it. The handle can read from `draining` whether the
    /// server is draining.
    pub fn with_handle<H>(node: Node, handle: H, draining: Arc<AtomicBool>) -> Self
    where
        H: Any + Send + Sync,
    {
        Self {
            node,
            handle: Some(Arc::new(handle)),
            draining,
        }
    }

    /// Declares that the server has begun its drain.
    pub fn start_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the server drains.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// The host of a request or handshake. `None` if the listener is not Fanfare's.
    pub fn of(request: &HttpRequest) -> Option<Self> {
        let extensions = request.extensions();
        let offered = extensions.get::<Offer>().map(Offer::host);
        let connection = || request.conn_data::<Self>();
        // The testing kit has no connection that could have data.
        let host = offered.or_else(connection);
        host.or_else(|| extensions.get::<Self>()).cloned()
    }

    /// The node.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The handle, if it is of this type.
    pub fn handle<H: Any>(&self) -> Option<&H> {
        self.handle.as_deref()?.downcast_ref()
    }
}

impl From<Node> for Host {
    fn from(node: Node) -> Self {
        Self {
            node,
            handle: None,
            draining: Arc::default(),
        }
    }
}

/// The node of a request: see [`Host::of`].
pub fn node_of(request: &HttpRequest) -> Option<Node> {
    Host::of(request).map(|host| host.node)
}

/// Marks a request, in its extensions, as one whose connection a session of this host's node can
/// take over. A listener adds it only to requests that can become a WebSocket, for example not to
/// one with a body.
#[derive(Clone)]
pub struct Offer {
    pub(crate) link: Link,
    pub(crate) host: Host,
}

impl Offer {
    /// Offers the connection of `link` to the sessions of the host's node.
    pub fn new(link: Link, host: Host) -> Self {
        Self { link, host }
    }

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }
}
