//! A well-behaved WebSocket client.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::deadline::within;

const LIMIT: Duration = Duration::from_secs(15);

/// How a socket is opened.
#[derive(Debug, Clone, Default)]
pub struct SocketOptions {
    /// Headers beyond the handshake's own.
    pub headers: Vec<(String, String)>,
    /// The local address; the system's choice when none.
    pub source: Option<Ipv4Addr>,
    /// The kernel's receive buffer in bytes; the system's choice when none.
    pub receive_buffer: Option<u32>,
}

/// An open WebSocket.
#[derive(Debug)]
pub struct Socket {
    stream: WebSocketStream<TcpStream>,
    channel: String,
}

impl Socket {
    /// Opens `path` at `address`.
    ///
    /// # Errors
    /// When the handshake is refused or does not end.
    pub async fn connect(address: SocketAddr, path: &str, options: &SocketOptions) -> Result<Self> {
        let mut request = format!("ws://{address}{path}").into_client_request()?;
        for (name, value) in &options.headers {
            let name = HeaderName::from_bytes(name.as_bytes())?;
            request
                .headers_mut()
                .insert(name, HeaderValue::from_str(value)?);
        }
        let handshake = async {
            let stream = dial(address, options).await?;
            client_async(request, stream).await.map_err(refusal)
        };
        let (stream, response) = within(LIMIT, &format!("the handshake of {path}"), handshake)
            .await?
            .with_context(|| format!("opening {path}"))?;
        let channel = response.headers().get("x-fanfare-channel");
        let channel = channel
            .context("X-Fanfare-Channel on the 101")?
            .to_str()?
            .to_owned();
        Ok(Self { stream, channel })
    }

    /// The channel of the session at the other end.
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// The connection below, for its options.
    pub fn tcp(&self) -> &TcpStream {
        self.stream.get_ref()
    }

    /// The stream itself, for what the other methods do not cover.
    pub fn into_stream(self) -> (WebSocketStream<TcpStream>, String) {
        (self.stream, self.channel)
    }

    /// Sends a message.
    ///
    /// # Errors
    /// When the connection is gone or nothing takes it.
    pub async fn send(&mut self, message: Message) -> Result<()> {
        within(LIMIT, "sending", self.stream.send(message))
            .await?
            .context("sending")
    }

    /// Sends a text frame.
    ///
    /// # Errors
    /// As [`Socket::send`].
    pub async fn send_text(&mut self, text: &str) -> Result<()> {
        self.send(Message::text(text)).await
    }

    /// The next message of any kind.
    ///
    /// # Errors
    /// When none comes within 15 seconds or the connection is gone.
    pub async fn message(&mut self) -> Result<Message> {
        let next = within(LIMIT, "a message", self.stream.next()).await?;
        next.context("the connection has ended")?
            .context("receiving")
    }

    /// The next text frame; pings and pongs on the way are skipped.
    ///
    /// # Errors
    /// When something else comes.
    pub async fn text(&mut self) -> Result<String> {
        loop {
            match self.message().await? {
                Message::Text(text) => return Ok(text.as_str().to_owned()),
                Message::Ping(_) | Message::Pong(_) => {}
                other => bail!("a text frame was due, {other:?} came"),
            }
        }
    }

    /// The next text frame as JSON.
    ///
    /// # Errors
    /// As [`Socket::text`], and when it is no JSON.
    pub async fn json(&mut self) -> Result<Value> {
        let text = self.text().await?;
        serde_json::from_str(&text).with_context(|| text.clone())
    }

    /// Reads to the close frame, skipping everything before it, and gives its code; 1005 when the
    /// frame has none, 1006 when the connection ends without a close frame.
    ///
    /// # Errors
    /// When the peer neither closes nor ends within 15 seconds.
    pub async fn close_code(&mut self) -> Result<u16> {
        within(LIMIT, "a close", async {
            loop {
                match self.stream.next().await {
                    Some(Ok(Message::Close(frame))) => return code(frame),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return 1006,
                }
            }
        })
        .await
    }

    /// Closes and awaits the peer's close.
    ///
    /// # Errors
    /// When the peer does not close.
    pub async fn close(mut self, code: u16) -> Result<u16> {
        let frame = CloseFrame {
            code: code.into(),
            reason: "".into(),
        };
        self.send(Message::Close(Some(frame))).await?;
        self.close_code().await
    }

    /// Ends the connection with a reset: no close frame, no FIN.
    ///
    /// # Errors
    /// When the socket takes no options any more.
    pub fn reset(self) -> Result<()> {
        self.stream.get_ref().set_zero_linger().context("SO_LINGER")
    }
}

pub(crate) fn code(frame: Option<CloseFrame>) -> u16 {
    frame.map_or(1005, |frame| frame.code.into())
}

async fn dial(address: SocketAddr, options: &SocketOptions) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if let Some(bytes) = options.receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    if let Some(source) = options.source {
        socket.bind(SocketAddr::new(IpAddr::V4(source), 0))?;
    }
    socket
        .connect(address)
        .await
        .with_context(|| format!("connecting to {address}"))
}

fn refusal(error: Error) -> anyhow::Error {
    match error {
        Error::Http(response) => anyhow!("refused with {}", response.status()),
        other => anyhow!(other),
    }
}
