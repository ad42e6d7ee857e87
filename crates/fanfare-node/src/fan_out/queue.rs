//! What waits in a mailbox, in the order in which it came.

use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;
use bytestring::ByteString;
use fanfare_protocol::CloseCode;

use super::shared_event::{EventRun, SharedBatch, SharedEvent};
use super::slot_ref::Bounds;

/// What comes to a program.
pub enum Input {
    /// A text message of the client.
    Text(ByteString),
    /// A binary message of the client.
    Binary(Bytes),
    /// An event of the layer.
    Event {
        /// The tag of the subscription that it came through; `None` for one that was published to
        /// the session's own channel.
        tag: Option<u32>,
        /// The event.
        event: Rc<SharedEvent>,
    },
    /// A timer of the program is due; this is its number.
    Timer(u32),
    /// The session is over and has left its groups. The close code is the peer's, or what was sent
    /// to it; 1005 when the peer gave none and 1006 when the connection was lost.
    Ended(CloseCode),
}

/// Messages of the client that may wait before its session stops reading.
const MESSAGES: u32 = 64;
/// Their bytes.
const MESSAGE_BYTES: usize = 64 * 1024;
/// The memory of an emptied queue is given back beyond this capacity.
const KEPT: usize = 8;

/// The input of one session's program, in order.
#[derive(Default)]
pub(crate) struct Queue {
    entries: VecDeque<Entry>,
    message_bytes: usize,
    event_bytes: usize,
    messages: u32,
    events: u32,
}

enum Entry {
    Text(ByteString),
    Binary(Bytes),
    /// The events of one batch, which all members of a lane share, from an index on: so a batch
    /// costs a mailbox one entry.
    Events {
        batch: Rc<EventRun>,
        next: u32,
        tag: Option<u32>,
    },
    Timer(u32),
}

impl Queue {
    pub(crate) fn push_text(&mut self, text: ByteString) {
        self.messages += 1;
        self.message_bytes += text.len();
        self.entries.push_back(Entry::Text(text));
    }

    pub(crate) fn push_binary(&mut self, bytes: Bytes) {
        self.messages += 1;
        self.message_bytes += bytes.len();
        self.entries.push_back(Entry::Binary(bytes));
    }

    pub(crate) fn push_timer(&mut self, id: u32) {
        self.entries.push_back(Entry::Timer(id));
    }

    /// Appends the events of a batch, which is not empty.
    pub(crate) fn push_events(&mut self, batch: &SharedBatch, tag: Option<u32>) {
        self.events += u32::try_from(batch.events.len()).unwrap_or(u32::MAX);
        self.event_bytes += batch.bytes;
        self.entries.push_back(Entry::Events {
            batch: Rc::clone(&batch.events),
            next: 0,
            tag,
        });
    }

    /// Takes what is in front.
    pub(crate) fn take(&mut self) -> Option<Input> {
        if let Some((tag, event)) = self.take_event() {
            return Some(Input::Event { tag, event });
        }
        let input = match self.entries.pop_front()? {
            Entry::Text(text) => {
                self.took_message(text.len());
                Input::Text(text)
            }
            Entry::Binary(bytes) => {
                self.took_message(bytes.len());
                Input::Binary(bytes)
            }
            // Taken above; a batch is never empty.
            Entry::Events { .. } => return None,
            Entry::Timer(id) => Input::Timer(id),
        };
        self.tidy();
        Some(input)
    }

    /// Takes what is in front, if it is an event, with the tag of its subscription.
    pub(crate) fn take_event(&mut self) -> Option<(Option<u32>, Rc<SharedEvent>)> {
        let Some(Entry::Events { batch, next, tag }) = self.entries.front_mut() else {
            return None;
        };
        let tag = *tag;
        let event = Rc::clone(batch.get(*next as usize)?);
        *next += 1;
        if *next as usize >= batch.len() {
            self.entries.pop_front();
            self.tidy();
        }
        self.events = self.events.saturating_sub(1);
        self.event_bytes = self.event_bytes.saturating_sub(event.bytes());
        Some((tag, event))
    }

    fn took_message(&mut self, bytes: usize) {
        self.messages = self.messages.saturating_sub(1);
        self.message_bytes = self.message_bytes.saturating_sub(bytes);
    }

    fn tidy(&mut self) {
        if self.entries.is_empty() && self.entries.capacity() > KEPT {
            self.entries.shrink_to(KEPT);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of the events that wait.
    pub(crate) fn event_bytes(&self) -> usize {
        self.event_bytes
    }

    /// Bytes of the client's messages that wait.
    pub(crate) fn message_bytes(&self) -> usize {
        self.message_bytes
    }

    /// Drops the events that wait.
    pub(crate) fn forget_events(&mut self) {
        self.entries
            .retain(|entry| !matches!(entry, Entry::Events { .. }));
        (self.events, self.event_bytes) = (0, 0);
    }

    /// Events that wait.
    pub(crate) fn events(&self) -> usize {
        self.events as usize
    }

    /// Whether more events wait than may; one alone always may.
    pub(crate) fn is_over(&self, bounds: Bounds) -> bool {
        self.events > 1 && (self.events() > bounds.frames || self.event_bytes > bounds.bytes)
    }

    /// Whether no more of the client's messages should be read.
    pub(crate) fn is_full(&self) -> bool {
        self.messages >= MESSAGES || self.message_bytes >= MESSAGE_BYTES
    }
}
