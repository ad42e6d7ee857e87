//! Masking (RFC 6455 §5.3).

/// Masks or unmasks in place, eight bytes at a time.
#[inline]
pub(super) fn apply(bytes: &mut [u8], [a, b, c, d]: [u8; 4]) {
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, tail) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    tail.iter_mut()
        .zip(wide.to_ne_bytes())
        .for_each(|(byte, key)| *byte ^= key);
}
