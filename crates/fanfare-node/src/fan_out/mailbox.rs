//! What waits between a session and its program, in both directions.

use std::cell::{Cell, RefCell};

use bytes::{Bytes, BytesMut};
use fanfare_protocol::frame::{self, Opcode};

use super::queue::Queue;
use super::shared_event::SharedBatch;
use super::slot_ref::Bounds;

/// The largest head of a frame, in bytes.
const FRAME_HEADER: usize = 10;
/// What a program sends is handed to the socket at this size, also within one poll.
pub(crate) const FLUSH_BYTES: usize = 64 * 1024;

/// The half of a session's mailbox that the fan-out works on: it puts events in, and takes what the
/// program sends out.
#[derive(Default)]
pub(crate) struct MailboxState {
    /// What waits for the program.
    pub(crate) queue: RefCell<Queue>,
    /// What the program has sent and nobody has written.
    output: RefCell<BytesMut>,
    /// Events in the output.
    events: Cell<u32>,
    /// The thread's flusher has the output in hand.
    pub(crate) deferred: Cell<bool>,
    /// Something has been written since the outbox was last seen to have room.
    pub(crate) crowded: Cell<bool>,
}

impl MailboxState {
    /// Takes events that came through the subscription with this tag; answers whether the program
    /// must be woken.
    pub(crate) fn post(&self, batch: &SharedBatch, tag: Option<u32>) -> bool {
        let mut queue = self.queue.borrow_mut();
        let first = queue.is_empty();
        queue.push_events(batch, tag);
        first
    }

    /// Whether more events wait than may; one alone always may.
    pub(crate) fn is_over(&self, bounds: Bounds) -> bool {
        self.queue.borrow().is_over(bounds)
    }

    /// Bytes of the events that wait.
    pub(crate) fn event_bytes(&self) -> usize {
        self.queue.borrow().event_bytes()
    }

    /// Bytes of the client's messages that wait.
    pub(crate) fn message_bytes(&self) -> usize {
        self.queue.borrow().message_bytes()
    }

    /// Drops the events that wait.
    pub(crate) fn forget_events(&self) {
        self.queue.borrow_mut().forget_events();
    }

    /// Appends a message to the output.
    pub(crate) fn push(&self, opcode: Opcode, payload: &[u8]) {
        let output = &mut *self.output.borrow_mut();
        if output.capacity() == 0 {
            // An answer to each of the events that wait is likely.
            let answers = 1 + self.queue.borrow().events();
            output.reserve((answers * (payload.len() + FRAME_HEADER)).min(FLUSH_BYTES));
        }
        frame::push(output, opcode, payload);
    }

    /// Appends encoded frames to the output; `events` of them are counted as delivered.
    pub(crate) fn push_frames(&self, frames: &Bytes, events: u32) {
        self.output.borrow_mut().extend_from_slice(frames);
        self.events.set(self.events.get() + events);
    }

    /// Bytes of the output.
    pub(crate) fn output_bytes(&self) -> usize {
        self.output.borrow().len()
    }

    /// What the program has sent and nobody has written, and how many events are in it.
    pub(crate) fn take_output(&self) -> Option<(Bytes, u32)> {
        self.deferred.set(false);
        let frames = self.output.take();
        if frames.is_empty() {
            return None;
        }
        self.crowded.set(true);
        Some((frames.freeze(), self.events.take()))
    }
}
