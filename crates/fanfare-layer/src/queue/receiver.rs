//! A receiver of a channel: what it takes, and what the layer is asked for meanwhile.

use std::fmt;
use std::mem;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use fanfare_protocol::{ChannelName, Envelope};
use tokio::sync::Notify;

use super::Shared;
use crate::{ChannelLayer, Subscription};

/// One receiver of a channel. Every message goes to one receiver, in the order of their asking.
/// Dropping it loses no message but the one that it took last.
pub struct Receiver {
    pub(super) channel: ChannelName,
    /// Signalled once for every message.
    pub(super) arrived: Arc<Notify>,
    pub(super) queue: Arc<Shared>,
    pub(super) layer: Arc<dyn ChannelLayer>,
}

impl Receiver {
    /// What it receives from.
    pub fn channel(&self) -> &ChannelName {
        &self.channel
    }

    /// The next message; waits for one. `None` once the queues are closed and nothing is left. May
    /// be cancelled without loss. Before it waits for a normal channel's message it says so to the
    /// layer ([`ChannelLayer::pull`]), unless a message is on its way that nobody else waits for.
    pub async fn next(&mut self) -> Option<Arc<Envelope>> {
        let mut wait = Wait {
            receiver: self,
            counted: false,
        };
        loop {
            let mut arrived = pin!(wait.receiver.arrived.notified());
            // Before the look, so that what comes behind the look wakes it.
            arrived.as_mut().enable();
            if let Poll::Ready(next) = wait.look() {
                return next;
            }
            arrived.await;
        }
    }

    fn is_normal(&self) -> bool {
        !self.channel.as_str().contains('!')
    }

    /// What the layer has to be told.
    pub(super) fn subscription(&self) -> Option<Subscription> {
        self.is_normal()
            .then(|| Subscription::Channel(self.channel.clone()))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let mut lines = self.queue.lines.lock();
        let Some(line) = lines.by_name.get_mut(&self.channel) else {
            return;
        };
        line.receivers -= 1;
        if line.receivers > 0 {
            return;
        }
        // The layer forgets them with the subscription.
        line.wished = 0;
        if line.waiting.is_empty() {
            lines.by_name.remove(&self.channel);
        } else {
            lines.unread += 1;
        }
        if let Some(subscription) = self.subscription() {
            // Noted at the call; nobody waits for the acknowledgement.
            drop(self.layer.unsubscribe(vec![subscription]));
        }
    }
}

/// One call of [`Receiver::next`], however it ends.
struct Wait<'a> {
    receiver: &'a Receiver,
    /// Among those of the line that ask.
    counted: bool,
}

impl Wait<'_> {
    /// Takes what is there. If nothing is, it counts among those who ask, and the layer is asked
    /// for one more message unless as many are on their way.
    fn look(&mut self) -> Poll<Option<Arc<Envelope>>> {
        let Receiver { channel, queue, .. } = self.receiver;
        let mut lines = queue.lines.lock();
        let closed = lines.closed;
        let Some(line) = lines.by_name.get_mut(channel) else {
            // A line is there as long as it has receivers.
            return Poll::Ready(None);
        };
        queue.expire(line);
        if let Some(next) = line.waiting.pop_front() {
            line.asking -= usize::from(mem::take(&mut self.counted));
            return Poll::Ready(Some(next.envelope));
        }
        if closed {
            return Poll::Ready(None);
        }
        line.asking += usize::from(!mem::replace(&mut self.counted, true));
        let wishes = self.receiver.is_normal() && line.wished < line.asking;
        line.wished += usize::from(wishes);
        // Without the lock: a layer may bring the message on this very thread. This receiver is
        // there until it has asked, so the end of the subscription does not come in between.
        drop(lines);
        if wishes {
            self.receiver.layer.pull(channel);
        }
        Poll::Pending
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if self.counted {
            let Receiver { channel, queue, .. } = self.receiver;
            if let Some(line) = queue.lines.lock().by_name.get_mut(channel) {
                line.asking -= 1;
            }
        }
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let channel = &self.channel;
        out.debug_struct("Receiver")
            .field("channel", channel)
            .finish_non_exhaustive()
    }
}
