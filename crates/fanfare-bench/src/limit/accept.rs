//! A socket before it is a member: accepted, its request head being read.

use std::net::TcpListener;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::sockopt::set_tcp_nodelay;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send};

use crate::handshake::{accept_key, head_end, header};

const MAX_HEAD: usize = 16 * 1024;
const REFUSAL: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// A socket and what it has sent of its request.
pub(super) struct Handshake {
    socket: OwnedFd,
    head: Vec<u8>,
}

/// Where a handshake stands after a read.
pub(super) enum Progress {
    /// The head is not complete.
    Waiting,
    /// The peer left or asked for something else; drop the socket.
    Refused,
    /// The 101 is written.
    Open {
        /// The path asked for, without its query.
        path: String,
        /// Bytes that came behind the head.
        early: Vec<u8>,
    },
}

impl Handshake {
    /// The next waiting connection, if there is one.
    pub(super) fn accept(listener: &TcpListener) -> anyhow::Result<Option<Self>> {
        match accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            Ok(socket) => {
                set_tcp_nodelay(&socket, true)?;
                Ok(Some(Self {
                    socket,
                    head: Vec::new(),
                }))
            }
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The socket, for epoll.
    pub(super) fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// Gives the socket up to its room.
    pub(super) fn into_socket(self) -> OwnedFd {
        self.socket
    }

    /// Reads once and answers the request when its head is complete.
    pub(super) fn advance(&mut self, buffer: &mut [u8]) -> Progress {
        let read = match recv(&self.socket, &mut *buffer, RecvFlags::DONTWAIT) {
            Ok((read, _)) if read > 0 => read,
            Err(Errno::AGAIN | Errno::INTR) => return Progress::Waiting,
            _ => return Progress::Refused,
        };
        self.head
            .extend_from_slice(buffer.get(..read).unwrap_or_default());
        let Some((head, early)) =
            head_end(&self.head).and_then(|end| self.head.split_at_checked(end))
        else {
            return if self.head.len() > MAX_HEAD {
                Progress::Refused
            } else {
                Progress::Waiting
            };
        };
        let (response, progress) = match answer(head) {
            Some((response, path)) => (
                response,
                Progress::Open {
                    path,
                    early: early.to_vec(),
                },
            ),
            None => (REFUSAL.to_vec(), Progress::Refused),
        };
        match send(
            &self.socket,
            &response,
            SendFlags::DONTWAIT | SendFlags::NOSIGNAL,
        ) {
            Ok(sent) if sent == response.len() => progress,
            _ => Progress::Refused,
        }
    }
}

/// The 101 and the path, when the head is a WebSocket handshake.
fn answer(head: &[u8]) -> Option<(Vec<u8>, String)> {
    let head = std::str::from_utf8(head).ok()?;
    let target = head.strip_prefix("GET ")?.split(' ').next()?;
    let path = target.split('?').next()?.to_owned();
    if !header(head, "Upgrade")?.eq_ignore_ascii_case("websocket") {
        return None;
    }
    let accept = accept_key(header(head, "Sec-WebSocket-Key")?);
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    Some((response.into_bytes(), path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_is_answered_with_its_accept_key_and_path() {
        let head = b"GET /room/x?token=1 HTTP/1.1\r\nUpgrade: WebSocket\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let (response, path) = answer(head).unwrap();
        assert_eq!(path, "/room/x");
        assert!(
            String::from_utf8(response)
                .unwrap()
                .contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        );
    }

    #[test]
    fn a_plain_request_is_no_handshake() {
        assert_eq!(answer(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), None);
        assert_eq!(
            answer(b"POST / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"),
            None
        );
    }
}
