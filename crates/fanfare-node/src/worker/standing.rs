//! How sessions of a worker stand to groups.

use fanfare_layer::Presence;

use super::WorkerThread;
use crate::directory::Pair;

impl WorkerThread {
    /// How sessions of this worker stand to groups.
    pub(super) fn standing(&self, pairs: &[Pair]) -> Vec<Presence> {
        let fan_out = &*self.fan_out.borrow();
        let stand = |(group, channel): &Pair| match self.member(&fan_out.slots, channel) {
            None => Presence::Gone,
            Some(member) if fan_out.roster.is_member(&fan_out.slots, member, group) => {
                Presence::Member
            }
            Some(_) => Presence::Guest,
        };
        pairs.iter().map(stand).collect()
    }
}
