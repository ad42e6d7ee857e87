//! The client frames that the limit understands: whole, masked, unfragmented (RFC 6455 §5).

/// Opcode of a text frame.
pub(super) const TEXT: u8 = 0x1;
/// Opcode of a binary frame.
pub(super) const BINARY: u8 = 0x2;
/// Opcode of a close frame.
pub(super) const CLOSE: u8 = 0x8;
/// Opcode of a ping.
pub(super) const PING: u8 = 0x9;
/// Opcode of a pong.
pub(super) const PONG: u8 = 0xA;

/// Longest payload taken; a bound so that a length of 2^63 cannot ask for memory.
const MAX_PAYLOAD: u64 = 1 << 20;

/// One decoded frame, its payload unmasked in place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    /// The four opcode bits.
    pub(super) opcode: u8,
    /// The payload.
    pub(super) payload: &'a [u8],
    /// Bytes of the input that the frame took.
    pub(super) used: usize,
}

/// What a client sent is not a frame this program takes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken;

/// Takes the frame at the front of `input`; `None` when it is not there to its end yet.
pub(super) fn decode(input: &mut [u8]) -> Result<Option<Frame<'_>>, Broken> {
    let &mut [first, second, ref extended @ ..] = input else {
        return Ok(None);
    };
    if first & 0xF0 != 0x80 || second & 0x80 == 0 {
        return Err(Broken);
    }
    let (length, length_bytes) = match second & 0x7F {
        126 => match extended.first_chunk::<2>() {
            Some(bytes) => (u64::from(u16::from_be_bytes(*bytes)), 2),
            None => return Ok(None),
        },
        127 => match extended.first_chunk::<8>() {
            Some(bytes) => (u64::from_be_bytes(*bytes), 8),
            None => return Ok(None),
        },
        short => (u64::from(short), 0),
    };
    if length > MAX_PAYLOAD {
        return Err(Broken);
    }
    let length = usize::try_from(length).map_err(|_| Broken)?;
    let Some(body) = input.get_mut(2 + length_bytes..) else {
        return Ok(None);
    };
    let Some((mask, rest)) = body.split_first_chunk_mut::<4>() else {
        return Ok(None);
    };
    let Some(payload) = rest.get_mut(..length) else {
        return Ok(None);
    };
    unmask(payload, *mask);
    Ok(Some(Frame {
        opcode: first & 0x0F,
        payload,
        used: 2 + length_bytes + 4 + length,
    }))
}

/// Appends one final, unmasked frame.
pub(super) fn push(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.push(0x80 | opcode);
    match payload.len() {
        length @ 0..=125 => out.extend(u8::try_from(length)),
        length => match u16::try_from(length) {
            Ok(length) => {
                out.push(126);
                out.extend_from_slice(&length.to_be_bytes());
            }
            Err(_) => {
                out.push(127);
                out.extend_from_slice(&(length as u64).to_be_bytes());
            }
        },
    }
    out.extend_from_slice(payload);
}

fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, tail) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in tail.iter_mut().zip(mask) {
        *byte ^= mask;
    }
    if let Some(rest) = tail.get_mut(4..) {
        for (byte, mask) in rest.iter_mut().zip(mask) {
            *byte ^= mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loader::payload::masked_text;

    #[test]
    fn frames_of_every_length_form_survive_masking_and_decoding() {
        for length in [0, 1, 7, 125, 126, 128, 65_535, 65_536] {
            let text: Vec<u8> = (0..length).map(|at| b'a' + (at % 26) as u8).collect();
            let mut wire = masked_text(&text);
            let whole = wire.len();
            let frame = decode(&mut wire).unwrap().unwrap();
            assert_eq!((frame.opcode, frame.used), (TEXT, whole));
            assert_eq!(frame.payload, text);
        }
    }

    #[test]
    fn a_frame_cut_anywhere_waits_for_its_end() {
        for length in [3, 128, 70_000] {
            let wire = masked_text(&vec![b'x'; length]);
            for cut in (0..wire.len()).step_by(1 + wire.len() / 50) {
                let mut start = wire.get(..cut).unwrap().to_vec();
                assert_eq!(
                    decode(&mut start),
                    Ok(None),
                    "cut at {cut} of {}",
                    wire.len()
                );
            }
        }
    }

    #[test]
    fn unmasked_fragmented_and_oversized_frames_are_broken() {
        assert_eq!(decode(&mut [0x81, 0x01, b'a']), Err(Broken));
        assert_eq!(decode(&mut [0x01, 0x81, 0, 0, 0, 0, b'a']), Err(Broken));
        assert_eq!(
            decode(&mut [0x81, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0]),
            Err(Broken)
        );
    }

    #[test]
    fn pushed_frames_use_the_shortest_length_form() {
        for (length, header) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let mut out = Vec::new();
            push(&mut out, TEXT, &vec![b'x'; length]);
            assert_eq!(out.len(), header + length);
        }
    }
}
