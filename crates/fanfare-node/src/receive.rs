//! Receiving from channels: normal ones, which workers share, and channels of this node's own.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use fanfare_layer::{Receiver, SubscribeError};
use fanfare_protocol::{ChannelName, SessionId};

use crate::directory::{LOCAL_CHANNELS, is_normal};
use crate::node::Node;
use crate::start::stand_by;

impl Node {
    /// Becomes a receiver of a normal channel, or of one of [`Node::new_channel`]: resolves when the
    /// layer brings its messages to this node, and waits for a layer that is away. Every message
    /// goes to one of the node's receivers of that channel. Works on any thread, with a worker or
    /// without.
    ///
    /// With Redis pub/sub every node that receives from a channel gets each of its messages, as
    /// every process of `channels_redis` does.
    ///
    /// # Errors
    /// When the channel is a session's or another node's, or the node is closed.
    pub async fn receive(&self, channel: &ChannelName) -> Result<Receiver, SubscribeError> {
        if !is_normal(channel) && !self.is_local(channel) {
            let reason = format!("{channel} is no channel that this node may receive from");
            return Err(SubscribeError(reason));
        }
        let shared = self.shared();
        stand_by(shared)?;
        let queue = &shared.directory.queues.queue;
        queue
            .receive(channel.clone(), Arc::clone(&shared.layer))
            .await
    }

    /// A fresh name that is received from on this node only: an address for answers. It is never
    /// used again.
    pub fn new_channel(&self) -> ChannelName {
        let named = &self.shared().directory.queues.named;
        let [_, a, b, c, generation @ ..] = named.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let local = SessionId {
            worker: LOCAL_CHANNELS,
            slot: u32::from_be_bytes([0, a, b, c]),
            generation: u32::from_be_bytes(generation),
        };
        self.naming().session(self.id(), local)
    }

    fn is_local(&self, channel: &ChannelName) -> bool {
        self.naming()
            .locate(channel.as_str())
            .is_some_and(|(node, local)| node == self.id() && local.worker == LOCAL_CHANNELS)
    }
}
