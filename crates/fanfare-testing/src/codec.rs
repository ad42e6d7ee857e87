//! The client's side of the frame codec (RFC 6455 §5): masked frames out, whole frames in.

use bytes::{Buf as _, Bytes, BytesMut};
use fanfare_protocol::CloseCode;
use fanfare_protocol::frame::Opcode;

const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;
/// Any mask will do: it guards proxies, and there is none.
const MASK: [u8; 4] = [0x3c, 0x9a, 0x51, 0xe7];

/// A frame of the server.
pub(crate) struct Received {
    pub(crate) opcode: u8,
    pub(crate) payload: Bytes,
}

/// A masked frame.
pub(crate) fn masked(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![FINAL | opcode as u8];
    match payload.len() {
        short @ 0..126 => frame.push(MASKED | u8::try_from(short).unwrap_or_default()),
        long => match u16::try_from(long) {
            Ok(length) => {
                frame.push(MASKED | 126);
                frame.extend(length.to_be_bytes());
            }
            Err(_) => {
                frame.push(MASKED | 127);
                frame.extend((long as u64).to_be_bytes());
            }
        },
    }
    frame.extend(MASK);
    let masked = payload.iter().zip(MASK.iter().cycle());
    frame.extend(masked.map(|(byte, mask)| byte ^ mask));
    frame
}

/// The payload of a close frame; 1005 stands for a frame without a code.
pub(crate) fn close_payload(code: CloseCode, reason: &str) -> Vec<u8> {
    if code == CloseCode::NO_STATUS {
        return Vec::new();
    }
    let mut payload = code.0.to_be_bytes().to_vec();
    payload.extend(reason.as_bytes());
    payload
}

/// Code and reason of a close frame's payload.
pub(crate) fn read_close(payload: &[u8]) -> (CloseCode, String) {
    match payload {
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            (
                CloseCode(code),
                String::from_utf8_lossy(reason).into_owned(),
            )
        }
        _ => (CloseCode::NO_STATUS, String::new()),
    }
}

/// Takes one frame out of what has been read; `None` when it has not come whole. Servers of this
/// project send every message in one frame.
pub(crate) fn take(read: &mut BytesMut) -> Option<Received> {
    let mut rest: &[u8] = read;
    let start = rest.len();
    if start < 2 {
        return None;
    }
    let opcode = rest.get_u8() & 0x0f;
    let length = match rest.get_u8() {
        126 if rest.len() >= 2 => u64::from(rest.get_u16()),
        127 if rest.len() >= 8 => rest.get_u64(),
        126 | 127 => return None,
        short => u64::from(short),
    };
    let header = start - rest.len();
    let length = usize::try_from(length).ok()?;
    if rest.len() < length {
        return None;
    }
    read.advance(header);
    let payload = read.split_to(length).freeze();
    Some(Received { opcode, payload })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_every_length_come_whole_or_not_at_all() {
        for length in [0, 1, 125, 126, 65_535, 65_536, 70_000] {
            let mut sent = BytesMut::new();
            fanfare_protocol::frame::push(&mut sent, Opcode::Binary, &vec![7; length]);
            let cuts = [0, 1, 2, 3, sent.len() - 1];
            for cut in cuts.into_iter().filter(|cut| *cut < sent.len()) {
                let mut part = BytesMut::from(&sent[..cut]);
                assert!(take(&mut part).is_none(), "{cut} of {length}");
                assert_eq!(part.len(), cut, "nothing is taken of a part");
            }
            let whole = take(&mut sent).unwrap();
            assert_eq!((whole.opcode, whole.payload.len()), (2, length));
            assert!(sent.is_empty());
        }
    }

    #[test]
    fn the_server_reads_what_is_masked_here() {
        let limits = fanfare_protocol::frame::FrameLimits {
            message_bytes: 0,
            frame_bytes: 0,
        };
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let mut decoder = fanfare_protocol::frame::Decoder::new();
            let mut frame = masked(Opcode::Text, "a".repeat(length).as_bytes());
            let size = frame.len();
            let (used, message) = decoder.next(&limits, &mut frame).unwrap();
            assert_eq!(used, size);
            let text = "a".repeat(length);
            assert_eq!(message, Some(fanfare_protocol::frame::Message::Text(&text)));
        }
    }
}
