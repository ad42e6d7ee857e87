//! Commands between nodes: a request, the answers of nodes, and who did not answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fanfare_protocol::NodeId;
use futures_util::future::BoxFuture;
use tokio::time::timeout;

/// The most bytes of a command, and of an answer.
pub const MAX_CONTROL_BYTES: usize = 64 << 10;

/// Whom a command is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlTarget {
    /// One node.
    Node(NodeId),
    /// Every node that serves commands, the asking one included.
    All,
}

/// What nodes answered to a command, in no order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ControlReplies {
    /// The answers of the nodes.
    pub answers: Vec<(NodeId, Bytes)>,
    /// Nodes that were asked, are alive as far as this node knows, and did not answer in time.
    pub missing: Vec<NodeId>,
}

/// Why a command has no answer. Nodes may have carried it out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// The layer is unreachable, or was lost before the answers were there.
    #[error("the layer is unreachable: {0}")]
    Down(String),
    /// The command has more than [`MAX_CONTROL_BYTES`]; nothing was sent.
    #[error("a command of {bytes} bytes is longer than {MAX_CONTROL_BYTES}")]
    TooLong {
        /// The size of the command.
        bytes: usize,
    },
    /// As many commands as may be unanswered already; nothing was sent.
    #[error("too many commands to other nodes are unanswered")]
    Busy,
}

/// Carries out commands of nodes. Whoever can write to Redis can send commands.
pub trait ControlHandler: Send + Sync + 'static {
    /// Carries out a command. `None` answers nothing, so that the asking node names this one as
    /// missing. The future is dropped when the request's deadline has passed.
    fn handle(&self, from: NodeId, command: Bytes) -> BoxFuture<'static, Option<Bytes>>;
}

/// The control channel of a layer. It never interprets commands.
pub trait ControlChannel: Send + Sync + 'static {
    /// Sends a command. Resolves when every node that is asked has answered, at the latest after
    /// `deadline`. A node that leaves meanwhile is neither waited for nor missing. A node that
    /// connected less than a round trip ago may not know of the others yet.
    fn ask(
        self: Arc<Self>,
        to: ControlTarget,
        command: Bytes,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<ControlReplies, ControlError>>;

    /// From now on this node answers commands, and other nodes know that it is alive.
    fn serve(&self, handler: Arc<dyn ControlHandler>);

    /// The nodes that serve commands and are alive, this one included, in no order.
    fn nodes(&self) -> Vec<NodeId>;
}

impl ControlReplies {
    /// One node that was asked alone, and did not answer.
    pub(crate) fn none_of(node: NodeId) -> Self {
        Self {
            answers: Vec::new(),
            missing: vec![node],
        }
    }

    /// Adds what other nodes answered.
    pub(crate) fn add(&mut self, others: Self) {
        self.answers.extend(others.answers);
        self.missing.extend(others.missing);
    }
}

/// What a node of this process answers to a command, under the rules for others.
pub(crate) async fn ask_here(
    handler: Arc<dyn ControlHandler>,
    (from, node): (NodeId, NodeId),
    command: Bytes,
    deadline: Duration,
) -> ControlReplies {
    let answer = timeout(deadline, handler.handle(from, command)).await;
    match answer.ok().flatten() {
        Some(answer) => ControlReplies {
            answers: vec![(node, answer)],
            missing: Vec::new(),
        },
        None => ControlReplies::none_of(node),
    }
}

pub(crate) fn check_size(command: &Bytes) -> Result<(), ControlError> {
    let bytes = command.len();
    if bytes > MAX_CONTROL_BYTES {
        return Err(ControlError::TooLong { bytes });
    }
    Ok(())
}
