//! A client that writes bytes and reads bytes: nothing between the test and the wire.

use std::pin::Pin;
use std::time::Duration;

use fanfare_gateway::Bind;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

/// How long anything may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// The key of RFC 6455 §1.3.
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

trait Stream: AsyncRead + AsyncWrite {}
impl<T: AsyncRead + AsyncWrite> Stream for T {}

pub(crate) struct Client {
    socket: Pin<Box<dyn Stream>>,
    queue: Vec<u8>,
}

/// A whole response, up to the end of the connection.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn status(&self) -> u16 {
        self.head[9..12].parse().unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// A refusal as every client can read it: its length told, and nothing after it.
    #[track_caller]
    pub(crate) fn expect_whole(&self, status: u16) {
        assert_eq!(self.status(), status, "{}", self.head);
        assert_eq!(self.header("connection"), Some("close"), "{}", self.head);
        let length = self.header("content-length").unwrap();
        assert_eq!(length.parse(), Ok(self.body.len()), "{}", self.head);
    }
}

pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (own, value) = line.split_once(": ")?;
        own.eq_ignore_ascii_case(name).then_some(value)
    })
}

/// A handshake, with the headers that `change` answers in place of each: `None` leaves it out.
pub(crate) fn handshake_with<'a>(
    path: &str,
    change: impl Fn(&'a str) -> Option<&'a str>,
) -> Vec<u8> {
    let usual = [
        "Host: here",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    ];
    let mut request = format!("GET {path} HTTP/1.1\r\n");
    for line in usual.into_iter().filter_map(change) {
        request += line;
        request += "\r\n";
    }
    request += "\r\n";
    request.into_bytes()
}

pub(crate) fn handshake(path: &str) -> Vec<u8> {
    handshake_with(path, Some)
}

/// A masked frame.
pub(crate) fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    assert!(payload.len() < 126, "longer than these tests need");
    let mut frame = vec![
        0x80 | opcode,
        0x80 | u8::try_from(payload.len()).unwrap(),
        1,
        2,
        3,
        4,
    ];
    let masked = payload.iter().zip(mask.iter().cycle());
    frame.extend(masked.map(|(byte, mask)| byte ^ mask));
    frame
}

impl Client {
    pub(crate) async fn connect(to: &Bind) -> Self {
        let socket: Pin<Box<dyn Stream>> = match to {
            Bind::Tcp(address) => Box::pin(TcpStream::connect(address).await.unwrap()),
            Bind::Unix(path) => Box::pin(UnixStream::connect(path).await.unwrap()),
        };
        Self {
            socket,
            queue: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
    }

    /// Whether the peer's system still takes bytes.
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.socket.write_all(bytes).await.is_ok()
    }

    /// Whether there was more before the end.
    async fn read(&mut self) -> bool {
        let mut buffer = vec![0; 64 * 1024];
        let read = tokio::time::timeout(PATIENCE, self.socket.read(&mut buffer));
        let read = read
            .await
            .unwrap_or_else(|_| panic!("nothing came behind {} bytes", self.queue.len()))
            .unwrap();
        self.queue.extend(&buffer[..read]);
        read > 0
    }

    /// The head of a response, with the empty line.
    pub(crate) async fn head(&mut self) -> String {
        loop {
            let end = self.queue.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                let head = self.queue.drain(..end + 4).collect();
                return String::from_utf8(head).unwrap();
            }
            assert!(self.read().await, "the connection ended in a head");
        }
    }

    /// Exactly that many bytes.
    pub(crate) async fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.queue.len() < count {
            assert!(self.read().await, "the connection ended too soon");
        }
        self.queue.drain(..count).collect()
    }

    /// The next frame's opcode and payload; short frames only.
    pub(crate) async fn frame(&mut self) -> (u8, String) {
        let head = self.bytes(2).await;
        assert!(head[1] < 126, "a masked or a long frame");
        let payload = self.bytes(usize::from(head[1])).await;
        (head[0] & 15, String::from_utf8(payload).unwrap())
    }

    pub(crate) async fn expect_text(&mut self, text: &str) {
        assert_eq!(self.frame().await, (1, text.to_owned()));
    }

    /// A response and the end of the connection.
    pub(crate) async fn response(&mut self) -> Response {
        let head = self.head().await;
        while self.read().await {}
        Response {
            head,
            body: std::mem::take(&mut self.queue),
        }
    }
}
