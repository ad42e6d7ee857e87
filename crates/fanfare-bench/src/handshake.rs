//! The opening handshake (RFC 6455 §4), both sides of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The key that the loader sends; one for all sockets, since nothing caches between them.
pub(crate) const CLIENT_KEY: &str = "ZmFuZmFyZSBiZW5jaCBrZQ==";

/// The `Sec-WebSocket-Accept` that belongs to a `Sec-WebSocket-Key`.
pub(crate) fn accept_key(key: &str) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

/// The value of a header in a request or response head; names compare without case.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (field, value) = line.split_once(':')?;
        field
            .trim()
            .eq_ignore_ascii_case(name)
            .then(|| value.trim())
    })
}

/// The end of the head in what was read so far, blank line included.
pub(crate) fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .map(|at| at + 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_key_of_the_rfc_example_is_the_rfcs() {
        assert_eq!(
            accept_key("dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }

    #[test]
    fn headers_are_found_without_case_and_trimmed() {
        let head = "GET /room/x HTTP/1.1\r\nHOST: a\r\nsec-websocket-KEY:  k== \r\n\r\n";
        assert_eq!(header(head, "Sec-WebSocket-Key"), Some("k=="));
        assert_eq!(header(head, "Origin"), None);
        assert_eq!(head_end(head.as_bytes()), Some(head.len()));
        assert_eq!(head_end(b"GET / HTTP/1.1\r\n"), None);
    }

    #[test]
    fn the_loaders_key_is_sixteen_bytes() {
        assert_eq!(STANDARD.decode(CLIENT_KEY).unwrap().len(), 16);
    }
}
