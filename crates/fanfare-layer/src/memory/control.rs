//! The control channel of nodes in one process.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fanfare_protocol::NodeId;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use parking_lot::Mutex;

use crate::control::{
    ControlChannel, ControlError, ControlHandler, ControlReplies, ControlTarget, ask_here,
    check_size,
};

/// Who carries out the commands for each node that serves them.
pub(super) type Handlers = Arc<Mutex<HashMap<NodeId, Arc<dyn ControlHandler>>>>;

/// One node's end of the control channel.
pub(super) struct MemoryControl {
    pub(super) node: NodeId,
    pub(super) handlers: Handlers,
}

impl MemoryControl {
    /// Ends the service: the layer is closed.
    pub(super) fn close(&self) {
        self.handlers.lock().remove(&self.node);
    }
}

impl ControlChannel for MemoryControl {
    fn ask(
        self: Arc<Self>,
        to: ControlTarget,
        command: Bytes,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<ControlReplies, ControlError>> {
        async move {
            check_size(&command)?;
            let handlers = self.handlers.lock().clone();
            let asked = match to {
                ControlTarget::All => handlers,
                ControlTarget::Node(node) => match handlers.get(&node) {
                    Some(handler) => [(node, handler.clone())].into(),
                    None => return Ok(ControlReplies::none_of(node)),
                },
            };
            let asked = asked.into_iter().map(|(node, handler)| {
                ask_here(handler, (self.node, node), command.clone(), deadline)
            });
            let mut replies = ControlReplies::default();
            for each in join_all(asked).await {
                replies.add(each);
            }
            Ok(replies)
        }
        .boxed()
    }

    fn serve(&self, handler: Arc<dyn ControlHandler>) {
        self.handlers.lock().insert(self.node, handler);
    }

    fn nodes(&self) -> Vec<NodeId> {
        self.handlers.lock().keys().copied().collect()
    }
}
