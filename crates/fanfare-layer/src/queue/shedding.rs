//! What queues give up when the node is short of memory: the oldest messages of the channels for which
//! most waits.

use fanfare_protocol::ChannelName;

use super::{Line, Shared};
use crate::{Charge, Shed};

impl Line {
    /// About what its messages keep in memory.
    fn bytes(&self) -> usize {
        let charges = self.waiting.iter().map(|it| &it.charge);
        charges.map(Charge::bytes).sum()
    }
}

impl Shed for Shared {
    fn heaviest(&self) -> usize {
        let lines = self.lines.lock();
        let bytes = lines.by_name.values().map(Line::bytes);
        bytes.max().unwrap_or_default()
    }

    fn shed(&self, floor: usize) -> bool {
        let lines = &mut *self.lines.lock();
        let sizes = lines.by_name.iter();
        let sizes = sizes.map(|(name, line)| (line.bytes(), name.clone()));
        let mut sizes: Vec<(usize, ChannelName)> = sizes.filter(|it| it.0 > 0).collect();
        sizes.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        let mut any = false;
        for (bytes, name) in sizes.into_iter().filter(|it| it.0 >= floor) {
            let Some(line) = lines.by_name.get_mut(&name) else {
                continue;
            };
            // Not more than half of it at once: then others may be the largest.
            let mut left = bytes;
            while !self.budget.is_eased()
                && left > bytes / 2
                && let Some(oldest) = line.waiting.pop_front()
            {
                left = left.saturating_sub(oldest.charge.bytes());
                self.lost.no_memory.inc();
                any = true;
            }
        }
        any
    }
}
