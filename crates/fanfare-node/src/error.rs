//! Why a session is not admitted, and why a group is not joined.

use crate::options::MAX_WORKERS;

/// Why a session is not admitted; nothing of it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AdmitError {
    /// `limits.sessions`.
    #[error("the node has reached its limit of {limit} sessions")]
    NodeFull {
        /// The limit.
        limit: usize,
    },
    /// The node keeps as much as it may for what waits.
    #[error("the node is short of memory")]
    NoMemory,
    /// `limits.rate.sessions_per_address`.
    #[error("this address has {limit} sessions already, which is the limit")]
    TooManySessions {
        /// The limit.
        limit: usize,
    },
    /// The node had its 64 worker threads when this thread started.
    #[error("the node has {MAX_WORKERS} worker threads already, which is the limit")]
    TooManyWorkers,
    /// The node shuts down.
    #[error("the node is draining")]
    Draining,
    /// `limits.groups_per_session`.
    #[error("{asked} groups are more than the limit of {limit} per session")]
    TooManyGroups {
        /// Groups of the admission.
        asked: usize,
        /// The limit.
        limit: usize,
    },
    /// The layer is lost, and `layer.join_ms` passed.
    #[error("the layer is unreachable, so the groups cannot be joined")]
    LayerDown,
    /// `layer.join_ms` passed.
    #[error("the layer did not acknowledge the session's groups in time")]
    LayerTimeout,
}

/// Why a group was not joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// `limits.groups_per_session`.
    #[error("the session is in {limit} groups already, which is the limit")]
    TooManyGroups {
        /// The limit.
        limit: usize,
    },
    /// The layer is lost, or did not acknowledge the group within `layer.join_ms`.
    #[error("the layer did not acknowledge the group in time")]
    Layer,
    /// The session has ended.
    #[error("the session has ended")]
    Ended,
}
