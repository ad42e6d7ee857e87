//! HTTP heads as a client reads and writes them.

use actix_http::RequestHead;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The end of a head.
const END: &[u8] = b"\r\n\r\n";

/// Reads to the end of a head; answers it, with what was read behind it left in `read`. `None`
/// when the connection ends before.
pub(crate) async fn read<R: AsyncRead + Unpin>(
    socket: &mut R,
    read: &mut BytesMut,
) -> Option<Bytes> {
    loop {
        let end = read.windows(END.len()).position(|bytes| bytes == END);
        if let Some(end) = end {
            return Some(read.split_to(end + END.len()).freeze());
        }
        if !matches!(socket.read_buf(read).await, Ok(1..)) {
            return None;
        }
    }
}

/// Status and headers of a response's head.
pub(crate) fn parse(head: &[u8]) -> Option<(StatusCode, HeaderMap)> {
    let head = std::str::from_utf8(head).ok()?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let mut headers = HeaderMap::new();
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        let name: HeaderName = name.parse().ok()?;
        headers.append(name, HeaderValue::from_str(value.trim()).ok()?);
    }
    Some((status, headers))
}

/// A request's head as it goes over a socket.
pub(crate) fn write(head: &RequestHead) -> Vec<u8> {
    let mut out = format!("{} {} HTTP/1.1\r\n", head.method, head.uri).into_bytes();
    for (name, value) in &head.headers {
        out.extend(name.as_str().as_bytes());
        out.extend(b": ");
        out.extend(value.as_bytes());
        out.extend(b"\r\n");
    }
    out.extend(b"\r\n");
    out
}
