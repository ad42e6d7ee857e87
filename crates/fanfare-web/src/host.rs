//! The node behind a request.

use std::any::Any;
use std::sync::Arc;

use actix_web::{HttpMessage as _, HttpRequest};
use fanfare_node::Node;

use crate::handshake::Offer;

/// The node whose sessions take the connections of a listener over, with the handle that
/// applications publish through, if the listener was given one.
///
/// A listener puts it into the data of every connection.
#[derive(Clone)]
pub struct Host {
    node: Node,
    handle: Option<Arc<dyn Any + Send + Sync>>,
}

impl Host {
    /// A node with an application's handle on it.
    pub fn with_handle<H: Any + Send + Sync>(node: Node, handle: H) -> Self {
        Self {
            node,
            handle: Some(Arc::new(handle)),
        }
    }

    /// The host behind a request, plain or a handshake; none under a listener that is not
    /// Fanfare's.
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
        Self { node, handle: None }
    }
}

/// The node behind a request; see [`Host::of`].
pub fn node_of(request: &HttpRequest) -> Option<Node> {
    Host::of(request).map(|host| host.node)
}
