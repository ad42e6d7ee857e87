//! What a client sends, decoded in place.

use super::header::Header;
use super::partial::{Partial, Progress};
use super::{FrameError, FrameLimits, Message, Opcode, mask};
use crate::close::CloseCode;

/// Decodes the frames of one client, in place: a message that lies whole in the input is unmasked
/// there and borrowed from it; only what is cut by the input's end or fragmented is copied here.
#[derive(Debug, Default)]
pub struct Decoder {
    /// Taken when a frame is cut or fragmented, freed by the call after its message was answered;
    /// boxed so that an idle connection pays for one word.
    partial: Option<Box<Partial>>,
}

impl Decoder {
    /// A decoder at the start of a connection. Takes no heap memory until a frame is incomplete.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes from the front of `input`; answers how many were taken and the message that
    /// they completed, or `None` when all of `input` was taken without completing one.
    ///
    /// Call it with what is left of the input until it answers `None`, also when nothing is left:
    /// that call frees the buffer of a message that had to be assembled.
    ///
    /// # Errors
    /// [`FrameError`] as soon as a header or a byte breaks the protocol or a limit: an oversized
    /// frame is refused at its header, invalid UTF-8 at its first byte. The decoder is of no use
    /// afterwards.
    pub fn next<'a>(
        &'a mut self,
        limits: &FrameLimits,
        input: &'a mut [u8],
    ) -> Result<(usize, Option<Message<'a>>), FrameError> {
        if self
            .partial
            .as_ref()
            .is_some_and(|partial| partial.is_answered())
        {
            self.partial = None;
        }
        if self.partial.is_none() {
            if input.is_empty() {
                return Ok((0, None));
            }
            if let Some(header) = Header::parse(input, None, limits)?
                && header.last
                && header.length <= input.len() - header.size
            {
                let end = header.size + header.length;
                let payload = input.get_mut(header.size..end).unwrap_or_default();
                mask::apply(payload, header.mask);
                return Ok((end, Some(message(header.opcode, payload)?)));
            }
        }
        let partial = self.partial.get_or_insert_default();
        let (taken, progress) = partial.advance(limits, input)?;
        let message = match progress {
            Progress::Incomplete => None,
            Progress::Complete(opcode) => Some(message(opcode, partial.payload(opcode))?),
        };
        Ok((taken, message))
    }

    /// Bytes that are kept of a message that is not complete, or was answered last.
    #[inline]
    pub fn kept_bytes(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| partial.bytes())
    }

    /// Whether a message is under way: bytes of it are kept here.
    pub fn is_partial(&self) -> bool {
        self.partial
            .as_ref()
            .is_some_and(|partial| !partial.is_answered())
    }
}

#[inline]
fn message(opcode: Opcode, payload: &[u8]) -> Result<Message<'_>, FrameError> {
    Ok(match opcode {
        Opcode::Text => Message::Text(std::str::from_utf8(payload).map_err(FrameError::utf8)?),
        // A continuation never ends here under its own opcode: `Partial` answers the message's.
        Opcode::Binary | Opcode::Continuation => Message::Binary(payload),
        Opcode::Ping => Message::Ping(payload),
        Opcode::Pong => Message::Pong(payload),
        Opcode::Close => Message::Close(close(payload)?),
    })
}

fn close(payload: &[u8]) -> Result<Option<(CloseCode, &str)>, FrameError> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return match payload {
            [] => Ok(None),
            _ => Err(FrameError::protocol("the close frame has half a code")),
        };
    };
    let code = CloseCode(u16::from_be_bytes(*code));
    if !code.may_be_received() {
        return Err(FrameError::protocol("the close code is illegal"));
    }
    match std::str::from_utf8(reason) {
        Ok(reason) => Ok(Some((code, reason))),
        Err(_) => Err(FrameError::invalid("the close reason is not UTF-8")),
    }
}
