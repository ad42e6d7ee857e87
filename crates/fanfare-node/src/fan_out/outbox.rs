//! What a session still has to send: bounded in bytes and in frames.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::rc::Rc;

use bytes::{Buf, Bytes};

use super::tab::TabCharge;

/// The most slices one writev takes.
pub(crate) const MAX_SLICES: usize = 32;

/// Encoded frames that the socket had no room for, in order.
pub(crate) struct Outbox {
    queue: VecDeque<Chunk>,
    bytes: usize,
    frames: usize,
    /// Of what no other session shares.
    own: TabCharge,
    own_bytes: usize,
}

/// A run of frames. It counts with all the memory that it pins, which for the rest of a batch is
/// the whole batch.
struct Chunk {
    rest: Bytes,
    frames: u32,
    pinned: usize,
    /// Of a batch that other sessions wait for too: it is on the thread's tab once.
    shared: Option<Rc<TabCharge>>,
}

impl Outbox {
    /// An empty one, which counts its bytes in `own`.
    pub(crate) fn new(own: TabCharge) -> Self {
        Self {
            queue: VecDeque::new(),
            bytes: 0,
            frames: 0,
            own,
            own_bytes: 0,
        }
    }

    /// Bytes pinned by what waits.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Frames that wait, each until its last byte is sent.
    pub(crate) fn frames(&self) -> usize {
        self.frames
    }

    /// Runs of frames that wait: replies and pongs are a run each and no counted frame.
    pub(crate) fn runs(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Appends `rest`, the unsent part of an allocation of `pinned` bytes. `shared` counts an
    /// allocation that others wait for too.
    pub(crate) fn push(
        &mut self,
        rest: Bytes,
        frames: u32,
        pinned: usize,
        shared: Option<Rc<TabCharge>>,
    ) {
        self.bytes += pinned;
        self.frames += frames as usize;
        if shared.is_none() {
            self.count_own(self.own_bytes + pinned);
        }
        self.queue.push_back(Chunk {
            rest,
            frames,
            pinned,
            shared,
        });
    }

    /// Puts bytes in front of everything: the response head and the welcome.
    pub(crate) fn push_front(&mut self, rest: Bytes) {
        let pinned = rest.len();
        self.bytes += pinned;
        self.count_own(self.own_bytes + pinned);
        self.queue.push_front(Chunk {
            rest,
            frames: 0,
            pinned,
            shared: None,
        });
    }

    fn count_own(&mut self, bytes: usize) {
        self.own_bytes = bytes;
        self.own.set(bytes);
    }

    /// The front of the queue as slices for writev; answers how many were filled.
    pub(crate) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; MAX_SLICES]) -> usize {
        let mut filled = 0;
        for (slice, chunk) in slices.iter_mut().zip(&self.queue) {
            *slice = IoSlice::new(&chunk.rest);
            filled += 1;
        }
        filled
    }

    /// Forgets `sent` bytes from the front.
    pub(crate) fn advance(&mut self, mut sent: usize) {
        while let Some(chunk) = self.queue.front_mut() {
            if sent < chunk.rest.len() {
                chunk.rest.advance(sent);
                return;
            }
            sent -= chunk.rest.len();
            self.bytes -= chunk.pinned;
            self.frames -= chunk.frames as usize;
            let own = match chunk.shared {
                None => chunk.pinned,
                Some(_) => 0,
            };
            self.queue.pop_front();
            self.count_own(self.own_bytes - own);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fan_out::Tab;

    fn outbox() -> Outbox {
        Outbox::new(Tab::unlimited().charge(0))
    }

    #[test]
    fn a_chunk_counts_whole_until_its_last_byte_is_sent() {
        let mut outbox = outbox();
        let batch = Bytes::from_static(b"0123456789");
        outbox.push(batch.slice(4..), 2, batch.len(), None);
        outbox.push(Bytes::from_static(b"ab"), 1, 2, None);
        assert_eq!((outbox.bytes(), outbox.frames()), (12, 3));
        outbox.advance(5);
        assert_eq!((outbox.bytes(), outbox.frames()), (12, 3));
        outbox.advance(2);
        assert_eq!((outbox.bytes(), outbox.frames()), (2, 1));
        outbox.advance(1);
        assert!(outbox.is_empty());
        assert_eq!((outbox.bytes(), outbox.frames()), (0, 0));
    }

    #[test]
    fn the_head_goes_in_front_of_what_waits() {
        let mut outbox = outbox();
        outbox.push(Bytes::from_static(b"event"), 1, 5, None);
        outbox.push_front(Bytes::from_static(b"head"));
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        assert_eq!(outbox.slices(&mut slices), 2);
        assert_eq!(&*slices[0], b"head");
        assert_eq!(&*slices[1], b"event");
    }
}
