//! A client at the level of bytes, for broken handshakes and broken frames.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::deadline::within;

const LIMIT: Duration = Duration::from_secs(15);
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// An HTTP response as it stood on the wire.
#[derive(Debug, Clone)]
pub struct RawResponse {
    /// The status code.
    pub status: u16,
    /// Header names in lower case, with values.
    pub headers: Vec<(String, String)>,
    /// What followed the head, up to the end of the connection.
    pub body: String,
}

impl RawResponse {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// The opcode of a frame (RFC 6455 §5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opcode(pub u8);

impl Opcode {
    /// A fragment after the first.
    pub const CONTINUATION: Self = Self(0);
    /// Text.
    pub const TEXT: Self = Self(1);
    /// Binary.
    pub const BINARY: Self = Self(2);
    /// Close.
    pub const CLOSE: Self = Self(8);
    /// Ping.
    pub const PING: Self = Self(9);
    /// Pong.
    pub const PONG: Self = Self(10);
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawFrame {
    /// Whether it is the last of its message.
    pub fin: bool,
    /// The opcode.
    pub opcode: Opcode,
    /// The payload, unmasked.
    pub payload: Vec<u8>,
}

impl RawFrame {
    /// A whole message in one frame.
    pub fn whole(opcode: Opcode, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            fin: true,
            opcode,
            payload: payload.into(),
        }
    }

    /// A fragment that is not the last.
    pub fn fragment(opcode: Opcode, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            fin: false,
            opcode,
            payload: payload.into(),
        }
    }

    /// The bytes a client sends for it.
    pub fn masked(&self) -> Vec<u8> {
        let mut bytes = self.header(0x80);
        bytes.extend_from_slice(&MASK);
        bytes.extend(
            self.payload
                .iter()
                .zip(MASK.iter().cycle())
                .map(|(byte, mask)| byte ^ mask),
        );
        bytes
    }

    /// The bytes of a frame without its mask, which no client may send.
    pub fn unmasked(&self) -> Vec<u8> {
        let mut bytes = self.header(0);
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    fn header(&self, mask: u8) -> Vec<u8> {
        let mut bytes = vec![(u8::from(self.fin) << 7) | self.opcode.0];
        let length = self.payload.len();
        if let Some(short) = u8::try_from(length).ok().filter(|short| *short < 126) {
            bytes.push(mask | short);
        } else if let Ok(middle) = u16::try_from(length) {
            bytes.push(mask | 126);
            bytes.extend_from_slice(&middle.to_be_bytes());
        } else {
            bytes.push(mask | 127);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
        bytes
    }
}

/// A TCP connection to a node.
#[derive(Debug)]
pub struct RawConnection {
    stream: TcpStream,
    address: SocketAddr,
}

impl RawConnection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| address.to_string())?;
        Ok(Self { stream, address })
    }

    /// Connects and makes a correct handshake.
    ///
    /// # Errors
    /// When it is not answered with 101.
    pub async fn upgrade(address: SocketAddr, path: &str) -> Result<Self> {
        let mut connection = Self::open(address).await?;
        connection
            .write(connection.handshake(path, "").as_bytes())
            .await?;
        let head = connection.read_head().await?;
        if !head.starts_with("HTTP/1.1 101 ") {
            bail!("no 101: {head}");
        }
        Ok(connection)
    }

    /// The text of a correct handshake, with more header lines (each ending in CRLF).
    pub fn handshake(&self, path: &str, more: &str) -> String {
        format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n",
            self.address
        )
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    /// When the connection is gone or nothing takes them.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        within(LIMIT, "writing", self.stream.write_all(bytes))
            .await?
            .context("writing")
    }

    /// Sends a frame as a client does.
    ///
    /// # Errors
    /// As [`RawConnection::write`].
    pub async fn send(&mut self, frame: &RawFrame) -> Result<()> {
        self.write(&frame.masked()).await
    }

    /// Waits until there is something to read, or the end of the connection, and reads nothing.
    ///
    /// # Errors
    /// When neither comes.
    pub async fn readable(&self) -> Result<()> {
        let mut byte = [0];
        within(LIMIT, "something to read", self.stream.peek(&mut byte))
            .await?
            .context("waiting")?;
        Ok(())
    }

    /// Reads a response and everything behind it, up to the end of the connection.
    ///
    /// # Errors
    /// When the peer does not end the connection.
    pub async fn response(&mut self) -> Result<RawResponse> {
        let mut response = self.head().await?;
        response.body = String::from_utf8_lossy(&self.rest().await?).into_owned();
        Ok(response)
    }

    /// Reads a response of an announced length and leaves the connection as it is.
    ///
    /// # Errors
    /// When there is no `Content-Length`, or less than it says.
    pub async fn answer(&mut self) -> Result<RawResponse> {
        let mut response = self.head().await?;
        let length = response.header("content-length").context("a length")?;
        let mut body = vec![0; length.parse()?];
        within(LIMIT, "the body", self.stream.read_exact(&mut body))
            .await?
            .context("reading the body")?;
        response.body = String::from_utf8_lossy(&body).into_owned();
        Ok(response)
    }

    /// Reads the head of a response and leaves the connection as it is.
    ///
    /// # Errors
    /// When the connection ends before.
    pub async fn head(&mut self) -> Result<RawResponse> {
        let head = self.read_head().await?;
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let status = status
            .with_context(|| format!("a status line: {head}"))?
            .parse()?;
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers =
            headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
        Ok(RawResponse {
            status,
            headers: headers.collect(),
            body: String::new(),
        })
    }

    /// Reads up to the end of the connection.
    ///
    /// # Errors
    /// When the peer does not end it.
    pub async fn rest(&mut self) -> Result<Vec<u8>> {
        let mut rest = Vec::new();
        let end = self.stream.read_to_end(&mut rest);
        within(LIMIT, "the end of the connection", end)
            .await?
            .context("reading")?;
        Ok(rest)
    }

    /// The next frame.
    ///
    /// # Errors
    /// When none comes.
    pub async fn frame(&mut self) -> Result<RawFrame> {
        within(LIMIT, "a frame", async {
            let [first, second] = self.take::<2>().await?;
            if second & 0x80 != 0 {
                bail!("a server must not mask");
            }
            let length = match second {
                126 => u64::from(u16::from_be_bytes(self.take().await?)),
                127 => u64::from_be_bytes(self.take().await?),
                short => u64::from(short),
            };
            let mut payload = vec![0; usize::try_from(length)?];
            self.stream.read_exact(&mut payload).await?;
            Ok(RawFrame {
                fin: first & 0x80 != 0,
                opcode: Opcode(first & 0x0f),
                payload,
            })
        })
        .await?
    }

    /// The code of the next close frame, skipping what comes before it.
    ///
    /// # Errors
    /// When the connection ends without one.
    pub async fn close_code(&mut self) -> Result<u16> {
        loop {
            let frame = self.frame().await?;
            if frame.opcode == Opcode::CLOSE {
                let code = frame.payload.first_chunk::<2>().context("a close code")?;
                return Ok(u16::from_be_bytes(*code));
            }
        }
    }

    async fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes).await?;
        Ok(bytes)
    }

    async fn read_head(&mut self) -> Result<String> {
        let mut head = Vec::new();
        within(LIMIT, "the head of a response", async {
            while !head.ends_with(b"\r\n\r\n") {
                head.push(self.stream.read_u8().await?);
            }
            Ok::<_, std::io::Error>(())
        })
        .await?
        .with_context(|| format!("after {:?}", String::from_utf8_lossy(&head)))?;
        Ok(String::from_utf8_lossy(&head).into_owned())
    }
}
