//! Receiving from channels: normal ones, which workers share, and channels of this node's own.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use fanfare_layer::{Receiver, SubscribeError};
use fanfare_protocol::{ChannelName, SessionId};

use crate::directory::{LOCAL_CHANNELS, is_normal};
use crate::node::{Node, Shared};
use crate::start::supervise_bridge;

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

/// What the layer brings comes through the bridge, and a program without sessions has no worker
/// that could have it. So the first receiver of a node starts a thread that has the bridge
/// whenever no worker does, until the node is closed.
fn stand_by(shared: &Arc<Shared>) -> Result<(), SubscribeError> {
    let started = &shared.directory.queues.stand_by;
    if !shared.options.subscribes || started.swap(true, Ordering::AcqRel) {
        return Ok(());
    }
    let node = Arc::clone(shared);
    let thread = std::thread::Builder::new().name("fanfare-bridge".into());
    let spawned = thread.spawn(move || match actix_rt::Runtime::new() {
        Ok(runtime) => runtime.block_on(have_bridge(&node)),
        Err(error) => tracing::error!(%error, "no runtime for the bridge: nothing is received"),
    });
    spawned.map(drop).map_err(|error| {
        started.store(false, Ordering::Release);
        SubscribeError(format!("no thread for the bridge: {error}"))
    })
}

/// Starts the bridge here whenever nobody has it, until the node is closed.
async fn have_bridge(node: &Arc<Shared>) {
    let queues = &node.directory.queues;
    let have_it = async {
        loop {
            supervise_bridge(node);
            queues.bridge_freed.notified().await;
        }
    };
    tokio::select! {
        () = queues.closing.notified() => {}
        () = have_it => {}
    }
}
