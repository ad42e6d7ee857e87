//! What ends before a node closes its layer.

use tokio::sync::watch;

/// Tells those who hold something in the layer that the node closes, and waits for them.
pub(crate) struct Closing {
    closes: watch::Sender<bool>,
    /// Has a receiver for each [`LayerGuard`].
    guards: watch::Sender<()>,
}

/// Keeps the layer of a closing node open until it is dropped: for something that is to be given
/// back first. See [`Node::hold_layer`](crate::Node::hold_layer).
pub struct LayerGuard {
    _alive: watch::Receiver<()>,
}

impl Closing {
    pub(crate) fn new() -> Self {
        Self {
            closes: watch::channel(false).0,
            guards: watch::channel(()).0,
        }
    }

    pub(crate) fn guard(&self) -> LayerGuard {
        LayerGuard {
            _alive: self.guards.subscribe(),
        }
    }

    pub(crate) fn begins(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut closes = self.closes.subscribe();
        async move {
            // An error means that the node is gone, which is the same.
            let _gone = closes.wait_for(|closes| *closes).await;
        }
    }

    pub(crate) async fn begin(&self) {
        self.closes.send_replace(true);
        self.guards.closed().await;
    }
}
