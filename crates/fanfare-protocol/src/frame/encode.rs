//! What a server sends: final, unmasked frames.

use bytes::BytesMut;

use super::Opcode;
use crate::close::CloseCode;

/// The longest header without a mask: two bytes and a 64-bit length.
const MAX_HEADER: usize = 10;
/// The longest reason of a close frame: a control frame's 125 bytes without the code.
const MAX_REASON: usize = 123;
const FINAL: u8 = 0x80;

/// Appends one final, unmasked frame: what a server sends.
pub fn push(out: &mut BytesMut, opcode: Opcode, payload: &[u8]) {
    out.reserve(MAX_HEADER + payload.len());
    let (header, size) = header(opcode, payload.len());
    let start = out.len();
    // All of it, and cut: a copy of a known size is a few instructions.
    out.extend_from_slice(&header);
    out.truncate(start + size);
    out.extend_from_slice(payload);
}

/// Appends one frame whose payload `write` appends, without a buffer in between.
pub fn push_with(out: &mut BytesMut, opcode: Opcode, write: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.extend_from_slice(&[0; MAX_HEADER]);
    let body = out.len();
    write(out);
    let length = out.len().saturating_sub(body);
    let (header, size) = header(opcode, length);
    // The length is known only now: the payload moves up to the header it really has.
    if let Some(frame) = out.get_mut(start..) {
        frame.copy_within(MAX_HEADER.., size);
        frame
            .iter_mut()
            .zip(header)
            .take(size)
            .for_each(|(to, from)| *to = from);
    }
    out.truncate(start + size + length);
}

/// Appends a close frame; the reason is cut to 123 bytes at a character boundary.
pub fn push_close(out: &mut BytesMut, code: CloseCode, reason: &str) {
    let reason = reason
        .get(..reason.floor_char_boundary(MAX_REASON))
        .unwrap_or_default();
    push_with(out, Opcode::Close, |out| {
        out.extend_from_slice(&code.0.to_be_bytes());
        out.extend_from_slice(reason.as_bytes());
    });
}

/// The header of a final frame and how many of its bytes count.
#[inline]
fn header(opcode: Opcode, length: usize) -> ([u8; MAX_HEADER], usize) {
    let mut header = [0; MAX_HEADER];
    let first = FINAL | opcode as u8;
    let size = match length {
        0..=125 => {
            header[..2].copy_from_slice(&[first, length as u8]);
            2
        }
        126..=0xFFFF => {
            let [high, low] = (length as u16).to_be_bytes();
            header[..4].copy_from_slice(&[first, 126, high, low]);
            4
        }
        _ => {
            header[..2].copy_from_slice(&[first, 127]);
            header[2..].copy_from_slice(&(length as u64).to_be_bytes());
            10
        }
    };
    (header, size)
}
