//! A batch: events of one group, encoded once for the sessions of one plan, sent in one write.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::slots::{COPIED, Member};

/// A batch is sealed at this size, so that what a slow session pins stays small.
pub(crate) const MAX_BYTES: usize = 64 * 1024;
/// And at this number of events.
pub(crate) const MAX_EVENTS: usize = 64;

/// Events that are being collected.
#[derive(Debug, Default)]
pub(crate) struct OpenBatch {
    pub(crate) frames: BytesMut,
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
type Skips = FxHashMap<(u32, u32), Skip>;

#[derive(Debug, Clone)]
enum Skip {
    /// Already served.
    Whole,
    /// These events, by index, ascending.
    Events(SmallVec<[u16; 4]>),
}

/// A sealed batch with its progress through the members of its lane.
#[derive(Debug)]
pub(crate) struct Batch {
    frames: Bytes,
    events: SmallVec<[Mark; 1]>,
    skips: Option<Box<Skips>>,
    /// The next member to serve.
    pub(crate) cursor: u32,
    /// Members beyond this index joined later and are not served.
    pub(crate) end: u32,
}

/// What one member gets of a batch.
pub(crate) enum Share {
    /// All of it: by far the most frequent case.
    Whole,
    /// Nothing.
    Nothing,
    /// Some of the events, copied together.
    Part(Bytes, u32),
}

impl OpenBatch {
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub(crate) fn events(&self) -> usize {
        self.events.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.frames.len() >= MAX_BYTES || self.events.len() >= MAX_EVENTS
    }

    /// Marks the event whose frames were appended from byte `start`.
    pub(crate) fn mark(&mut self, start: usize, arrived: Instant) {
        let start = u32::try_from(start).unwrap_or(u32::MAX);
        self.events.push(Mark { arrived, start });
        self.end = self.frames.len();
    }

    /// Drops what a plan wrote of an event before it panicked.
    pub(crate) fn cut(&mut self) {
        self.frames.truncate(self.end);
    }

    /// Keeps the last event from a session.
    pub(crate) fn skip_last(&mut self, member: Member) {
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

    /// Closes the batch for the members there are now.
    pub(crate) fn seal(&mut self, members: usize) -> Batch {
        let open = std::mem::take(self);
        Batch {
            frames: open.frames.freeze(),
            events: open.events,
            skips: open.skips,
            cursor: 0,
            end: u32::try_from(members).unwrap_or(u32::MAX),
        }
    }
}

impl Batch {
    pub(crate) fn frames(&self) -> &Bytes {
        &self.frames
    }

    pub(crate) fn events(&self) -> u32 {
        u32::try_from(self.events.len()).unwrap_or(u32::MAX)
    }

    /// Arrival times of the events.
    pub(crate) fn arrivals(&self) -> impl Iterator<Item = Instant> + '_ {
        self.events.iter().map(|mark| mark.arrived)
    }

    /// The memory of the frames, for the next batch, unless a slow session pins it or it is so
    /// large that a small batch in it would pin far more than it counts.
    pub(crate) fn into_buffer(self) -> Option<BytesMut> {
        let mut buffer = self.frames.try_into_mut().ok()?;
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
    pub(crate) fn served(&mut self, member: Member) {
        self.skips
            .get_or_insert_default()
            .insert((member.slot, member.word), Skip::Whole);
    }

    #[inline]
    pub(crate) fn share(&self, member: Member) -> Share {
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
        let mut kept = BytesMut::new();
        let mut count = 0;
        for (index, mark) in self.events.iter().enumerate() {
            if u16::try_from(index).is_ok_and(|index| left_out.contains(&index)) {
                continue;
            }
            let start = mark.start as usize;
            let end = self
                .events
                .get(index + 1)
                .map_or(self.frames.len(), |next| next.start as usize);
            if let Some(frames) = self.frames.get(start..end) {
                kept.extend_from_slice(frames);
                count += 1;
            }
        }
        if count == 0 {
            Share::Nothing
        } else {
            Share::Part(kept.freeze(), count)
        }
    }
}
