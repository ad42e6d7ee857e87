//! Signs of life of a client: bytes in either direction.

/// No ping is under way.
const NO_PING: u32 = u32::MAX;

/// When there was the last sign of life, in 8 bytes: ticks are counted modulo 2^32.
#[derive(Debug, Clone, Copy)]
pub(super) struct Life {
    /// Tick of the last sign, or of the ping that is under way.
    heard: u32,
    /// Bytes that the client had not acknowledged at the last look, while a ping is under way.
    owed: u32,
}

impl Life {
    pub(super) fn new(now: u64) -> Self {
        Self {
            heard: low(now),
            owed: NO_PING,
        }
    }

    /// Ticks since the last sign, or since the ping.
    pub(super) fn silence(&self, now: u64) -> u64 {
        low(now).wrapping_sub(self.heard).into()
    }

    pub(super) fn awaits_pong(&self) -> bool {
        self.owed != NO_PING
    }

    /// Bytes of the client have come: also those of half a frame.
    pub(super) fn sent_something(&mut self, now: u64) {
        self.heard = low(now);
        self.owed = NO_PING;
    }

    /// A socket that was full has room again, so the client has taken something in. Its pong is
    /// still due: the ping may wait behind the rest.
    pub(super) fn took_something(&mut self, now: u64) {
        self.heard = low(now);
    }

    /// A ping goes out, behind `owed` bytes.
    pub(super) fn pinged(&mut self, now: u64, owed: u32) {
        *self = Self {
            heard: low(now),
            owed: owed.min(NO_PING - 1),
        };
    }

    /// The time of the pong is over, while `owed` bytes are not acknowledged. Whether the client has
    /// taken in some of what was in front of the ping since the last look: then its pong gets the
    /// same time again.
    pub(super) fn has_taken(&mut self, now: u64, owed: u32) -> bool {
        let taken = owed < self.owed;
        if taken {
            self.heard = low(now);
            self.owed = owed;
        }
        taken
    }
}

/// The low half of a tick. A session is looked at more often than it goes round.
fn low(tick: u64) -> u32 {
    (tick & u64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_since_a_sign_is_right_where_the_count_of_ticks_goes_round() {
        let start = u64::from(u32::MAX) - 1;
        let mut life = Life::new(start);
        assert_eq!(life.silence(start + 5), 5);
        life.sent_something(start + 5);
        assert_eq!(life.silence(start + 6), 1);
    }

    #[test]
    fn a_pong_has_more_time_only_while_what_was_in_front_of_the_ping_is_taken_in() {
        let mut life = Life::new(0);
        life.pinged(10, 100);
        assert!(life.has_taken(20, 60));
        assert_eq!((life.silence(20), life.awaits_pong()), (0, true));
        assert!(!life.has_taken(30, 60), "nothing was taken in");
        assert!(!life.has_taken(30, 90), "and more waits");
        assert!(life.has_taken(40, 0));
        assert!(!life.has_taken(50, 0), "all was there, and no pong came");
    }
}
