//! The queues of channels that this node receives from, and what keeps them filled.

use std::sync::atomic::{AtomicBool, AtomicU64};

use fanfare_layer::ChannelQueue;
use fanfare_protocol::ChannelName;
use tokio::sync::Notify;

/// Stands for the worker in the names of [`crate::Node::new_channel`]: no worker has this number.
pub(crate) const LOCAL_CHANNELS: u8 = 0xfe;

/// The queues of a node, and what keeps them filled.
pub(crate) struct Queues {
    pub(crate) queue: ChannelQueue,
    /// Whether a thread stands by to have the bridge.
    pub(crate) stand_by: AtomicBool,
    /// Signalled when the thread that had the bridge has gone.
    pub(crate) bridge_freed: Notify,
    pub(crate) closing: Notify,
    /// How many channels [`crate::Node::new_channel`] has named.
    pub(crate) named: AtomicU64,
}

impl Queues {
    pub(crate) fn new(queue: ChannelQueue) -> Self {
        Self {
            queue,
            stand_by: AtomicBool::new(false),
            bridge_freed: Notify::new(),
            closing: Notify::new(),
            named: AtomicU64::new(0),
        }
    }

    /// Ends the receivers and the thread that stands by.
    pub(crate) fn close(&self) {
        self.queue.close();
        self.closing.notify_one();
    }
}

/// Whether a channel is nobody's own: any node may receive from it.
pub(crate) fn is_normal(channel: &ChannelName) -> bool {
    !channel.as_str().contains('!')
}
