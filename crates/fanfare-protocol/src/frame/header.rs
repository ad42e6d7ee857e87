//! The header of a client's frame (RFC 6455 §5.2), refused at its first wrong byte.

use super::{FrameError, FrameLimits, Opcode};

/// The longest header of a masked frame.
pub(super) const MAX: usize = 14;
/// The longest payload of a control frame (RFC 6455 §5.5).
const MAX_CONTROL: usize = 125;

/// A header that was read whole and keeps every rule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) last: bool,
    pub(super) opcode: Opcode,
    pub(super) mask: [u8; 4],
    /// Bytes of the payload.
    pub(super) length: usize,
    /// Bytes of the header itself.
    pub(super) size: usize,
}

impl Header {
    /// Reads a header from the front of `bytes`, or `None` when it is cut. `under_way` is the size
    /// so far of the fragmented message that this frame may continue.
    ///
    /// Every check is made as soon as its byte is there, so the answer does not depend on how the
    /// bytes were cut.
    #[inline]
    pub(super) fn parse(
        bytes: &[u8],
        under_way: Option<usize>,
        limits: &FrameLimits,
    ) -> Result<Option<Self>, FrameError> {
        let Some((&first, rest)) = bytes.split_first() else {
            return Ok(None);
        };
        let last = first & 0x80 != 0;
        let opcode = opcode(first, under_way.is_some())?;
        let Some((&second, rest)) = rest.split_first() else {
            return Ok(None);
        };
        if second & 0x80 == 0 {
            return Err(FrameError::protocol("a client's frames must be masked"));
        }
        let short = usize::from(second & 0x7F);
        if opcode.is_control() && short > MAX_CONTROL {
            return Err(FrameError::protocol(
                "a control frame is longer than 125 bytes",
            ));
        }
        let (length, rest) = match short {
            126 => match rest.split_first_chunk() {
                Some((length, rest)) => (usize::from(u16::from_be_bytes(*length)), rest),
                None => return Ok(None),
            },
            127 => match rest.split_first_chunk() {
                Some((length, rest)) => (long(u64::from_be_bytes(*length))?, rest),
                None => return Ok(None),
            },
            _ => (short, rest),
        };
        if !opcode.is_control() {
            check_limits(length, under_way, limits)?;
        }
        let Some((mask, rest)) = rest.split_first_chunk() else {
            return Ok(None);
        };
        let size = bytes.len() - rest.len();
        Ok(Some(Self {
            last,
            opcode,
            mask: *mask,
            length,
            size,
        }))
    }
}

impl Opcode {
    #[inline]
    pub(super) fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

#[inline]
fn opcode(first: u8, continues: bool) -> Result<Opcode, FrameError> {
    if first & 0x70 != 0 {
        return Err(FrameError::protocol("a reserved bit is set"));
    }
    let opcode = match first & 0x0F {
        0x0 if continues => return Ok(Opcode::Continuation),
        0x0 => return Err(FrameError::protocol("nothing to continue")),
        0x1 | 0x2 if continues => {
            return Err(FrameError::protocol(
                "a new message inside a fragmented one",
            ));
        }
        0x1 => return Ok(Opcode::Text),
        0x2 => return Ok(Opcode::Binary),
        0x8 => Opcode::Close,
        0x9 => Opcode::Ping,
        0xA => Opcode::Pong,
        _ => return Err(FrameError::protocol("unknown opcode")),
    };
    if first & 0x80 == 0 {
        return Err(FrameError::protocol("a control frame is fragmented"));
    }
    Ok(opcode)
}

fn long(length: u64) -> Result<usize, FrameError> {
    if length >> 63 != 0 {
        return Err(FrameError::protocol(
            "the top bit of a frame's length is set",
        ));
    }
    usize::try_from(length).map_err(|_| FrameError::too_big("the frame is too big"))
}

#[inline]
fn check_limits(
    length: usize,
    under_way: Option<usize>,
    limits: &FrameLimits,
) -> Result<(), FrameError> {
    if limits.frame_bytes != 0 && length > limits.frame_bytes {
        return Err(FrameError::too_big("the frame is too big"));
    }
    let message = under_way.unwrap_or(0).saturating_add(length);
    if limits.message_bytes != 0 && message > limits.message_bytes {
        return Err(FrameError::too_big("the message is too big"));
    }
    Ok(())
}
