//! Writes the head of the 101 response, because the HTTP dispatcher does not exist any more at that
//! time.

use actix_http::Response;
use actix_web::http::header::{CONNECTION, HeaderMap, SEC_WEBSOCKET_ACCEPT, UPGRADE};
use bytes::{BufMut as _, Bytes, BytesMut};

/// Status line and headers, names in their usual capitals, behind what is in `head` already.
pub(crate) fn switching_protocols<B>(mut head: BytesMut, response: &Response<B>) -> Bytes {
    head.reserve(256);
    head.put_slice(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
    );
    if let Some(accept) = response.headers().get(SEC_WEBSOCKET_ACCEPT) {
        head.put_slice(b"Sec-WebSocket-Accept: ");
        head.put_slice(accept.as_bytes());
        head.put_slice(b"\r\n");
    }
    put_headers(response.headers(), &mut head);
    head.put_slice(b"\r\n");
    head.freeze()
}

fn put_headers(headers: &HeaderMap, head: &mut BytesMut) {
    for (name, value) in headers {
        if [UPGRADE, CONNECTION, SEC_WEBSOCKET_ACCEPT].contains(name) {
            continue;
        }
        let mut first = true;
        for byte in name.as_str().bytes() {
            head.put_u8(if first {
                byte.to_ascii_uppercase()
            } else {
                byte
            });
            first = byte == b'-';
        }
        head.put_slice(b": ");
        head.put_slice(value.as_bytes());
        head.put_slice(b"\r\n");
    }
}
