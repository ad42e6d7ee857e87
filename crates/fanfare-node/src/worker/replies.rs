//! What a session sends in its turn: all of it leaves in one write.

use bytes::BytesMut;
use fanfare_protocol::frame::{self, Opcode};

use super::WorkerThread;
use crate::fan_out::{FLUSH_BYTES, SlotRef};

/// The memory is given back beyond this capacity: what a slow session pins of it stays small.
const KEPT: usize = 8 * 1024;

/// The frames of one session of the thread. They are written before anything else is written for
/// it, and before another session has its turn.
#[derive(Default)]
pub(crate) struct Replies {
    member: Option<SlotRef>,
    frames: BytesMut,
}

impl WorkerThread {
    /// Adds a message to what a session sends in this turn.
    pub(crate) fn reply(&self, member: SlotRef, opcode: Opcode, payload: &[u8]) {
        let mut replies = self.replies.borrow_mut();
        if replies.member != Some(member) {
            drop(replies);
            self.flush_replies();
            replies = self.replies.borrow_mut();
            replies.member = Some(member);
        }
        frame::push(&mut replies.frames, opcode, payload);
        if replies.frames.len() >= FLUSH_BYTES {
            drop(replies);
            self.flush_replies();
        }
    }

    /// Writes what has been added.
    #[inline]
    pub(crate) fn flush_replies(&self) {
        let mut replies = self.replies.borrow_mut();
        let Some(member) = replies.member.take() else {
            return;
        };
        let frames = std::mem::take(&mut replies.frames).freeze();
        drop(replies);
        self.write(member, &frames, 0);
        if let Ok(mut frames) = frames.try_into_mut()
            && frames.capacity() <= KEPT
        {
            frames.clear();
            self.replies.borrow_mut().frames = frames;
        }
    }
}
