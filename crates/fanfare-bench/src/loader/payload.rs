//! The one message that is measured, as the loader writes it and as it must come back.

/// Bytes of text in a message.
pub(crate) const TEXT_BYTES: usize = 128;

/// Bytes of the frame that a member gets: two of header, two of length, the text.
pub(crate) const FRAME_BYTES: u64 = 4 + TEXT_BYTES as u64;

const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// The text: 128 bytes, no two neighbours alike.
pub(crate) fn text() -> Vec<u8> {
    (b'a'..=b'z').cycle().take(TEXT_BYTES).collect()
}

/// The frame that every member gets.
pub(crate) fn delivered() -> Vec<u8> {
    let mut frame = vec![0x81, 126];
    frame.extend_from_slice(&(TEXT_BYTES as u16).to_be_bytes());
    frame.extend(text());
    frame
}

/// A client's text frame, masked.
pub(crate) fn masked_text(text: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x81];
    match (u8::try_from(text.len()), u16::try_from(text.len())) {
        (Ok(length @ 0..=125), _) => frame.push(0x80 | length),
        (_, Ok(length)) => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(text.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&MASK);
    frame.extend(
        text.iter()
            .zip(MASK.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_a_132_byte_text_frame() {
        let frame = delivered();
        assert_eq!(frame.len() as u64, FRAME_BYTES);
        assert_eq!(frame.get(..4).unwrap(), [0x81, 126, 0, 128]);
        assert_eq!(FRAME_BYTES, 132);
    }
}
