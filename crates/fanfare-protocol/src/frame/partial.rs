//! What is kept of a frame that the input's end cut, and of a fragmented message.

use super::header::{self, Header};
use super::{FrameError, FrameLimits, Opcode, mask};

/// Between the first byte of an incomplete frame and the answer of its message.
#[derive(Debug, Default)]
pub(super) struct Partial {
    /// The first bytes of a header that was cut.
    header: [u8; header::MAX],
    header_size: usize,
    /// The frame whose payload is being read.
    frame: Option<Frame>,
    /// The data message under way: at its end, or between two fragments.
    message: Option<Assembly>,
    /// The payload of the control frame under way; at most 125 bytes.
    control: Vec<u8>,
    /// A message was answered and nothing else is under way.
    answered: bool,
}

/// What a run over the input came to.
pub(super) enum Progress {
    /// All input was taken.
    Incomplete,
    /// A message of this opcode is complete; see [`Partial::payload`].
    Complete(Opcode),
}

#[derive(Debug)]
struct Frame {
    last: bool,
    opcode: Opcode,
    /// Turned so that its first byte is for the next byte of the payload.
    mask: [u8; 4],
    left: usize,
}

#[derive(Debug)]
struct Assembly {
    /// Text or binary.
    opcode: Opcode,
    payload: Vec<u8>,
    /// How much of a text is checked; behind it lies at most one incomplete character, which the
    /// check of the whole refuses when the message ends there.
    checked: usize,
}

impl Partial {
    /// Takes input up to the end of a message.
    pub(super) fn advance(
        &mut self,
        limits: &FrameLimits,
        input: &mut [u8],
    ) -> Result<(usize, Progress), FrameError> {
        let mut rest = &mut *input;
        let mut taken = 0;
        loop {
            if self.frame.is_none() {
                let Some(used) = self.begin(limits, rest)? else {
                    return Ok((taken + rest.len(), Progress::Incomplete));
                };
                taken += used;
                rest = rest.get_mut(used..).unwrap_or_default();
            }
            let Some(frame) = &mut self.frame else {
                return Ok((taken, Progress::Incomplete));
            };
            let size = frame.left.min(rest.len());
            let (chunk, behind) = rest.split_at_mut(size);
            rest = behind;
            taken += size;
            frame.unmask(chunk);
            let Frame {
                opcode, left, last, ..
            } = *frame;
            if opcode.is_control() {
                self.control.extend_from_slice(chunk);
            } else if let Some(message) = &mut self.message {
                let announced = last.then_some(left);
                message.append(chunk, announced)?;
            }
            if left > 0 {
                return Ok((taken, Progress::Incomplete));
            }
            self.frame = None;
            if opcode.is_control() {
                self.answered = self.message.is_none();
                return Ok((taken, Progress::Complete(opcode)));
            }
            if last && let Some(message) = &self.message {
                self.answered = true;
                return Ok((taken, Progress::Complete(message.opcode)));
            }
        }
    }

    /// The payload of the message that [`Progress::Complete`] named.
    pub(super) fn payload(&self, opcode: Opcode) -> &[u8] {
        match &self.message {
            Some(message) if !opcode.is_control() => &message.payload,
            _ => &self.control,
        }
    }

    /// Bytes of the payloads under way.
    pub(super) fn bytes(&self) -> usize {
        let message = self.message.as_ref();
        self.control.capacity() + message.map_or(0, |message| message.payload.capacity())
    }

    /// Whether all of this can be freed.
    pub(super) fn is_answered(&self) -> bool {
        self.answered
    }

    /// Reads a header, also one that began in an earlier input. Answers the bytes taken from
    /// `input`, or `None` when all of it was taken and the header is still cut.
    fn begin(&mut self, limits: &FrameLimits, input: &[u8]) -> Result<Option<usize>, FrameError> {
        let kept = self.header_size;
        let free = self.header.get_mut(kept..).unwrap_or_default();
        let added = free
            .iter_mut()
            .zip(input)
            .map(|(to, from)| *to = *from)
            .count();
        let bytes = self.header.get(..kept + added).unwrap_or_default();
        let under_way = self.message.as_ref().map(|message| message.payload.len());
        let Some(header) = Header::parse(bytes, under_way, limits)? else {
            self.header_size += added;
            return Ok(None);
        };
        self.header_size = 0;
        self.control.clear();
        let Header {
            last,
            opcode,
            mask,
            length,
            size,
        } = header;
        if matches!(opcode, Opcode::Text | Opcode::Binary) {
            self.message = Some(Assembly {
                opcode,
                payload: Vec::new(),
                checked: 0,
            });
        }
        self.frame = Some(Frame {
            last,
            opcode,
            mask,
            left: length,
        });
        Ok(Some(size - kept))
    }
}

impl Frame {
    fn unmask(&mut self, chunk: &mut [u8]) {
        mask::apply(chunk, self.mask);
        self.mask.rotate_left(chunk.len() % 4);
        self.left -= chunk.len();
    }
}

impl Assembly {
    /// Appends a part of the payload. In the last frame it is known how many bytes are `left`: then
    /// the buffer does not grow beyond them. Their announcement alone takes no memory.
    fn append(&mut self, chunk: &[u8], left: Option<usize>) -> Result<(), FrameError> {
        let free = self.payload.capacity() - self.payload.len();
        if let Some(left) = left
            && free < chunk.len()
        {
            let ahead = left.min(self.payload.len());
            self.payload.reserve_exact(chunk.len() + ahead);
        }
        self.payload.extend_from_slice(chunk);
        if self.opcode == Opcode::Text {
            self.check()?;
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), FrameError> {
        match std::str::from_utf8(self.payload.get(self.checked..).unwrap_or_default()) {
            Ok(_) => self.checked = self.payload.len(),
            Err(error) if error.error_len().is_none() => self.checked += error.valid_up_to(),
            Err(error) => return Err(FrameError::utf8(error)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Decoder;

    const NO_LIMITS: FrameLimits = FrameLimits {
        message_bytes: 0,
        frame_bytes: 0,
    };

    fn capacity(partial: &Partial) -> usize {
        partial
            .message
            .as_ref()
            .map_or(0, |message| message.payload.capacity())
    }

    #[test]
    fn an_idle_decoder_is_one_word() {
        assert_eq!(size_of::<Decoder>(), size_of::<usize>());
    }

    #[test]
    fn an_announced_frame_takes_no_memory_before_it_comes() {
        let mut header = [0; 14];
        header[..3].copy_from_slice(&[0x82, 0xFF, 0x70]);
        let mut partial = Partial::default();
        partial.advance(&NO_LIMITS, &mut header).unwrap();
        assert_eq!(capacity(&partial), 0);
        for _ in 0..100 {
            partial.advance(&NO_LIMITS, &mut [7; 10]).unwrap();
        }
        assert!(capacity(&partial) <= 2 * 1000);
    }

    #[test]
    fn a_frame_that_comes_in_pieces_takes_its_own_size() {
        let mut partial = Partial::default();
        partial
            .advance(&NO_LIMITS, &mut [0x82, 0x80 | 100, 0, 0, 0, 0])
            .unwrap();
        for _ in 0..10 {
            partial.advance(&NO_LIMITS, &mut [7; 10]).unwrap();
        }
        assert!(partial.is_answered());
        assert_eq!(capacity(&partial), 100);
    }

    #[test]
    fn many_small_fragments_do_not_move_the_message_each_time() {
        let mut partial = Partial::default();
        partial
            .advance(&NO_LIMITS, &mut [0x02, 0x81, 0, 0, 0, 0, 7])
            .unwrap();
        let mut moves = 0;
        for _ in 0..10_000 {
            let before = capacity(&partial);
            partial
                .advance(&NO_LIMITS, &mut [0x00, 0x81, 0, 0, 0, 0, 7])
                .unwrap();
            moves += usize::from(capacity(&partial) != before);
        }
        assert!(moves < 20, "{moves}");
    }
}
