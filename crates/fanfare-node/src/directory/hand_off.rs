//! Deliveries from other nodes on their way to the inboxes of workers.

use fanfare_layer::{Delivery, Sink as _};
use fanfare_protocol::Target;

use super::{ChannelOwner, Directory, Inbox};

/// Deliveries that came together. What is left of them is counted as lost when a panic takes the
/// bridge away with it.
pub(crate) struct Batch<'a> {
    directory: &'a Directory,
    rest: std::vec::IntoIter<Delivery>,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(directory: &'a Directory, deliveries: Vec<Delivery>) -> Self {
        Self {
            directory,
            rest: deliveries.into_iter(),
        }
    }

    /// Hands each delivery to the inboxes of the workers that have members, and waits for none.
    pub(crate) fn hand_off(mut self) {
        while self.hand_off_next() {}
    }

    /// Answers false at the end.
    pub(super) fn hand_off_next(&mut self) -> bool {
        let next = self.rest.next();
        let is_some = next.is_some();
        if let Some(delivery) = next {
            self.directory.hand_off(delivery);
        }
        is_some
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        let lost = &self.directory.metrics.dropped.bridge_panic;
        lost.inc_by(self.rest.len() as u64);
    }
}

impl Directory {
    /// Hands a delivery from another node to every worker that has members, and waits for none: a
    /// worker that has no room loses it, and that is counted.
    fn hand_off(&self, delivery: Delivery) {
        let bytes = delivery.envelope.event.memory_bytes();
        let dropped = &self.metrics.dropped;
        let each = |inbox: &Inbox, delivery| inbox.hand_off(delivery, bytes);
        match &delivery.target {
            Target::Group(group) => {
                let stripe = self.stripe(group);
                match stripe.get(group).map_or(0, |entry| entry.workers) {
                    0 => dropped.no_members.inc(),
                    workers => self.each_inbox(workers, delivery, each),
                }
            }
            Target::Channel(channel) => match self.place(channel) {
                ChannelOwner::Worker(worker) if !delivery.envelope.exclude.contains(channel) => {
                    self.each_inbox(1 << worker, delivery, each);
                }
                _ => {
                    if self.deliver(delivery).is_err() {
                        dropped.queue_full.inc();
                    }
                }
            },
        }
    }
}
