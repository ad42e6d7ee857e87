//! A batch: events of one group for the members of one lane; frames are encoded once and sent in
//! one write.

use std::rc::Rc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use fanfare_protocol::{Close, NameMap};
use smallvec::SmallVec;

use super::shared_event::{SharedBatch, SharedEvent};
use super::slot_ref::SlotRef;
use super::slots::{COPIED, Pinned, Slots};

/// A batch is sealed at this size, so that what a slow session pins stays small.
pub(crate) const MAX_BYTES: usize = 64 * 1024;
/// And at this number of events.
pub(crate) const MAX_EVENTS: usize = 64;

/// Events that are being collected.
#[derive(Default)]
pub(crate) struct OpenBatch {
    pub(crate) frames: BytesMut,
    /// The events themselves, in a lane of programs and actors.
    mail: Vec<Rc<SharedEvent>>,
    /// Where the frames of the last event end.
    end: usize,
    events: SmallVec<[Mark; 1]>,
    skips: Option<Box<Skips>>,
}

/// One event in a batch.
#[derive(Debug, Clone, Copy)]
struct Mark {
    arrived: Instant,
    start: u32,
}

/// What single sessions must not get, by slot and word.
type Skips = NameMap<(u32, u32), Skip>;

#[derive(Debug, Clone)]
enum Skip {
    /// Already served.
    Whole,
    /// These events, by index, ascending.
    Events(SmallVec<[u16; 4]>),
}

/// A sealed batch with its progress through the members of its lane.
pub(crate) struct Batch {
    content: Content,
    events: SmallVec<[Mark; 1]>,
    skips: Option<Box<Skips>>,
    /// Counts the frames while slow sessions keep them.
    pinned: Pinned,
    /// The next member to serve.
    pub(crate) cursor: u32,
    /// Members beyond this index joined later and are not served.
    pub(crate) end: u32,
}

/// What members get.
pub(crate) enum Content {
    /// Encoded frames.
    Frames(Bytes),
    /// Events, decoded by who gets them.
    Events(SharedBatch),
    /// The end of their session.
    Close(Rc<SharedEvent>, Rc<Close>),
}

/// What one member gets of a batch.
enum Share {
    /// All of it: by far the most frequent case.
    Whole,
    /// Nothing.
    Nothing,
    /// Some of the events, put together.
    Part(Content, u32),
}

impl Content {
    #[inline]
    fn give(&self, slots: &mut Slots, member: SlotRef, events: u32, pinned: Option<&Pinned>) {
        match self {
            Self::Frames(frames) => slots.send_shared(member, frames, events, pinned),
            Self::Events(batch) => slots.post(member, batch),
            Self::Close(mail, close) => slots.kick(member, mail, close),
        }
    }
}

impl OpenBatch {
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub(crate) fn events(&self) -> usize {
        self.events.len()
    }

    /// Bytes of the frames, or what the events keep in memory.
    pub(crate) fn bytes(&self) -> usize {
        let events = self.mail.iter().map(|event| event.bytes());
        self.frames.len() + events.sum::<usize>()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.frames.len() >= MAX_BYTES || self.events.len() >= MAX_EVENTS
    }

    /// Adds an event for programs and actors.
    pub(crate) fn push(&mut self, mail: Rc<SharedEvent>, arrived: Instant) {
        self.mail.push(mail);
        self.mark(0, arrived);
    }

    /// Marks the event whose frames were appended from byte `start`.
    pub(crate) fn mark(&mut self, start: usize, arrived: Instant) {
        let start = u32::try_from(start).unwrap_or(u32::MAX);
        self.events.push(Mark { arrived, start });
        self.end = self.frames.len();
    }

    /// Drops what a encoder wrote of an event before it panicked.
    pub(crate) fn cut(&mut self) {
        self.frames.truncate(self.end);
    }

    /// Keeps the last event from a session.
    pub(crate) fn skip_last(&mut self, member: SlotRef) {
        let Some(last) = self
            .events
            .len()
            .checked_sub(1)
            .and_then(|last| u16::try_from(last).ok())
        else {
            return;
        };
        let skips = self.skips.get_or_insert_default();
        let skip = skips
            .entry((member.slot, member.word))
            .or_insert_with(|| Skip::Events(SmallVec::new()));
        if let Skip::Events(events) = skip {
            events.push(last);
        }
    }

    /// Closes the batch of the group with this index for the members there are now.
    pub(crate) fn seal(&mut self, group: u32, members: usize) -> Batch {
        let open = std::mem::take(self);
        let content = if open.mail.is_empty() {
            Content::Frames(open.frames.freeze())
        } else {
            Content::Events(SharedBatch::new(open.mail, Some(group)))
        };
        Batch {
            content,
            events: open.events,
            skips: open.skips,
            pinned: Pinned::new(),
            cursor: 0,
            end: u32::try_from(members).unwrap_or(u32::MAX),
        }
    }

    /// As [`Self::seal`], for a batch whose one event ends its members' sessions.
    pub(crate) fn seal_close(
        &mut self,
        group: u32,
        members: usize,
        close: Rc<Close>,
    ) -> Option<Batch> {
        let mail = self.mail.pop()?;
        let mut batch = self.seal(group, members);
        batch.content = Content::Close(mail, close);
        Some(batch)
    }
}

impl Batch {
    /// Gives a member its share.
    #[inline]
    pub(crate) fn serve(&self, slots: &mut Slots, member: SlotRef) {
        match self.share(member) {
            Share::Whole => {
                let pinned = Some(&self.pinned);
                self.content.give(slots, member, self.events(), pinned);
            }
            Share::Part(content, events) => content.give(slots, member, events, None),
            Share::Nothing => {}
        }
    }

    pub(crate) fn events(&self) -> u32 {
        u32::try_from(self.events.len()).unwrap_or(u32::MAX)
    }

    /// Bytes of the frames, or what the events keep in memory.
    pub(crate) fn bytes(&self) -> usize {
        match &self.content {
            Content::Frames(frames) => frames.len(),
            Content::Events(batch) => batch.bytes,
            Content::Close(..) => 0,
        }
    }

    /// Arrival times of the events.
    pub(crate) fn arrivals(&self) -> impl Iterator<Item = Instant> + '_ {
        self.events.iter().map(|mark| mark.arrived)
    }

    /// The memory of the frames, for the next batch, unless a slow session pins it or it is so
    /// large that a small batch in it would pin far more than it counts.
    pub(crate) fn into_buffer(self) -> Option<BytesMut> {
        let Content::Frames(frames) = self.content else {
            return None;
        };
        let mut buffer = frames.try_into_mut().ok()?;
        if buffer.capacity() > 2 * COPIED {
            return None;
        }
        buffer.clear();
        Some(buffer)
    }

    /// Whether the batch still has to reach the member at `index`.
    pub(crate) fn is_ahead(&self, index: u32) -> bool {
        index >= self.cursor && index < self.end
    }

    /// The member was served out of turn.
    pub(crate) fn served(&mut self, member: SlotRef) {
        self.skips
            .get_or_insert_default()
            .insert((member.slot, member.word), Skip::Whole);
    }

    #[inline]
    fn share(&self, member: SlotRef) -> Share {
        match &self.skips {
            None => Share::Whole,
            Some(skips) => match skips.get(&(member.slot, member.word)) {
                None => Share::Whole,
                Some(Skip::Whole) => Share::Nothing,
                Some(Skip::Events(events)) => self.without(events),
            },
        }
    }

    #[cold]
    fn without(&self, left_out: &[u16]) -> Share {
        let is_kept =
            |index: &usize| u16::try_from(*index).map_or(true, |index| !left_out.contains(&index));
        let kept: SmallVec<[usize; 8]> = (0..self.events.len()).filter(is_kept).collect();
        if kept.is_empty() {
            return Share::Nothing;
        }
        let content = match &self.content {
            Content::Frames(frames) => Content::Frames(self.frames_of(frames, &kept)),
            Content::Events(batch) => {
                let kept = kept
                    .iter()
                    .filter_map(|index| batch.events.get(*index).cloned());
                Content::Events(SharedBatch::new(kept.collect(), batch.group))
            }
            // One event, and it is kept.
            Content::Close(..) => return Share::Whole,
        };
        Share::Part(content, u32::try_from(kept.len()).unwrap_or(u32::MAX))
    }

    fn frames_of(&self, frames: &Bytes, kept: &[usize]) -> Bytes {
        let mut together = BytesMut::new();
        for &index in kept {
            let start = self.events.get(index).map_or(0, |mark| mark.start as usize);
            let next = self.events.get(index + 1);
            let end = next.map_or(frames.len(), |next| next.start as usize);
            together.extend_from_slice(frames.get(start..end).unwrap_or_default());
        }
        together.freeze()
    }
}
