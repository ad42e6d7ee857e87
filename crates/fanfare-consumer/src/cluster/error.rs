//! Errors of publishing and of joining groups.

use std::fmt;

use fanfare_layer::{ControlError, PublishError};
use fanfare_node::JoinError;
use fanfare_protocol::event::EventError;
use fanfare_protocol::event_rules::EventRefused;
use fanfare_protocol::{CloseError, NameError};

/// Why a [`Cluster`](crate::Cluster) could not be created.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// The address of a Redis host cannot be read.
    #[cfg(feature = "redis")]
    #[error(transparent)]
    Host(#[from] fanfare_layer::redis::HostError),
    /// A layer over Redis without any host.
    #[error("no Redis host is named")]
    NoHosts,
    /// An option of a layer over Redis is not valid. It has the name of the field.
    #[cfg(feature = "redis")]
    #[error("the option {option} of the Redis layer {reason}")]
    RedisOption {
        /// Which, with the index of an entry.
        option: String,
        /// What is wrong with it and what would be right.
        reason: String,
    },
    /// The Redis layer lives on a tokio runtime, and there is none here.
    #[error(
        "a cluster over Redis is made inside a tokio runtime, such as #[actix_web::main] or \
         #[tokio::main]; a program without one uses fanfare::blocking::Cluster"
    )]
    NoRuntime,
    /// The registry has metrics of these names already. Each cluster needs its own registry.
    #[error("the metrics of a cluster: {0}: each cluster needs a prometheus::Registry of its own")]
    Metrics(#[from] prometheus::Error),
    /// The system has no random source for the node's id.
    #[error("no random source for the node's id")]
    Random,
    /// The thread of a [`blocking::Cluster`](crate::blocking::Cluster) did not start.
    #[error("the cluster's own thread did not start: {0}")]
    Thread(#[from] std::io::Error),
}

impl fmt::Debug for ClusterError {
    /// As `Display`: it is what a program prints whose `main` answers with this.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// Why an event was not published. No session got it, except perhaps after
/// [`PublishError::Unanswered`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The name of a group or channel, or the id of a user, is not valid.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The value is not an event: serde does not write it as a map with a string `type`.
    #[error(
        "{0}; an event is a map with a string `type`, such as an enum with #[serde(tag = \"type\")]"
    )]
    Event(#[from] EventError),
    /// The event's type or one of its keys is reserved.
    #[error(transparent)]
    Refused(#[from] EventRefused),
    /// The code or the reason of a disconnect is not valid.
    #[error(transparent)]
    Close(#[from] CloseError),
    /// The layer did not accept the event.
    #[error(transparent)]
    Layer(#[from] PublishError),
    /// A blocking call in the middle of async code, which it would stop.
    #[error(
        "a blocking::Cluster would stop the async runtime of this thread: use the async Cluster \
         here, or a thread that may block, such as web::block's"
    )]
    Async,
}

/// Why the nodes did not answer a question.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The group's name is not valid.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The other nodes could not be asked.
    #[error(transparent)]
    Control(#[from] ControlError),
}

/// Why a group was not joined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// The group's name is not valid.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The layer did not acknowledge it, or the session is in too many groups.
    #[error(transparent)]
    Join(#[from] JoinError),
}
