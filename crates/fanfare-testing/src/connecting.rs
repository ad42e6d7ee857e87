//! Builds and sends the handshake of a test client.

use std::net::SocketAddr;

use actix_http::Request;
use actix_web::http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use actix_web::http::{Method, StatusCode, Uri, Version};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::answer::{Answer, Response};
use crate::app::App;
use crate::websocket::WebSocket;
use crate::{head, pump};

/// The key of RFC 6455 §1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A handshake that has not been sent.
#[must_use = "nothing happens before `connect`"]
pub struct Connecting<'a> {
    to: To<'a>,
    path: String,
    headers: HeaderMap,
    peer: Option<SocketAddr>,
}

enum To<'a> {
    /// On this thread.
    App(&'a App),
    /// Over the network.
    Address(SocketAddr),
}

impl<'a> Connecting<'a> {
    pub(crate) fn new(app: &'a App, path: &str) -> Self {
        Self::over(To::App(app), path)
    }

    /// A handshake over TCP with a server that listens. Do not pause the clock: the answer would
    /// come too late.
    pub fn to(address: SocketAddr, path: &str) -> Connecting<'static> {
        Connecting::over(To::Address(address), path)
    }

    fn over(to: To<'a>, path: &str) -> Self {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            (HOST, "testserver"),
            (UPGRADE, "websocket"),
            (CONNECTION, "Upgrade"),
            (SEC_WEBSOCKET_KEY, KEY),
            (SEC_WEBSOCKET_VERSION, "13"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        Self {
            to,
            path: path.to_owned(),
            headers,
            peer: Some(([127, 0, 0, 1], 40_000).into()),
        }
    }

    /// Adds a header, such as `.header("cookie", "session=1")`.
    ///
    /// # Panics
    /// When name or value cannot stand in a request.
    #[track_caller]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let (name, value) = parse(name, value.as_ref());
        self.headers.append(name, value);
        self
    }

    /// Replaces all headers of this name, also those of the handshake. `None` removes them.
    ///
    /// # Panics
    /// When name or value cannot stand in a request.
    #[track_caller]
    pub fn replace(mut self, name: &str, value: Option<&str>) -> Self {
        let (name, parsed) = parse(name, value.unwrap_or_default().as_bytes());
        self.headers.remove(&name);
        if value.is_some() {
            self.headers.insert(name, parsed);
        }
        self
    }

    /// Offers subprotocols, the preferred one first.
    ///
    /// # Panics
    /// When they cannot stand in a request.
    #[track_caller]
    pub fn subprotocols<S: AsRef<str>>(self, names: impl IntoIterator<Item = S>) -> Self {
        let names: Vec<String> = names
            .into_iter()
            .map(|name| name.as_ref().to_owned())
            .collect();
        self.header(SEC_WEBSOCKET_PROTOCOL.as_str(), names.join(", "))
    }

    /// Sets the client's address, by default 127.0.0.1. `None` stands for a Unix socket. It has no
    /// effect over the network.
    pub fn peer(mut self, peer: Option<SocketAddr>) -> Self {
        self.peer = peer;
        self
    }

    /// Sends the handshake and waits for the application's answer.
    ///
    /// # Panics
    /// If the path is not valid, the handler of the route panics, or a server over the network does
    /// not answer with HTTP.
    pub async fn connect(self) -> Answer {
        let uri: Uri = match self.path.parse() {
            Ok(uri) => uri,
            Err(error) => panic!("{:?} is no path: {error}", self.path),
        };
        let mut request = Request::new();
        let head = request.head_mut();
        head.method = Method::GET;
        head.version = Version::HTTP_11;
        head.uri = uri;
        head.headers = self.headers;
        head.peer_addr = self.peer;
        match self.to {
            To::App(app) => app.shake_hands(request).await,
            To::Address(address) => match dial(address, &request).await {
                Ok(answer) => answer,
                Err(error) => panic!("the handshake with {address} failed: {error}"),
            },
        }
    }
}

async fn dial(address: SocketAddr, request: &Request) -> std::io::Result<Answer> {
    let mut socket = TcpStream::connect(address).await?;
    socket.write_all(&head::write(request.head())).await?;
    let mut read = BytesMut::new();
    let answer = head::read(&mut socket, &mut read).await;
    let parsed = answer.as_deref().and_then(head::parse);
    let (status, headers) = parsed.ok_or(std::io::ErrorKind::InvalidData)?;
    if status == StatusCode::SWITCHING_PROTOCOLS {
        let channel = headers.get("x-fanfare-channel");
        let channel = channel.and_then(|channel| channel.to_str().ok());
        let channel = channel.unwrap_or_default().to_owned();
        let sides = pump::start(Box::new(socket), read);
        return Ok(Answer::Accepted(WebSocket::new(sides, channel, headers)));
    }
    let length = headers.get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    let length: usize = length.unwrap_or(usize::MAX);
    while read.len() < length && socket.read_buf(&mut read).await? > 0 {}
    Ok(Answer::Rejected(Response {
        status,
        headers,
        body: read.freeze(),
    }))
}

#[track_caller]
fn parse(name: &str, value: &[u8]) -> (HeaderName, HeaderValue) {
    let Ok(parsed) = name.parse() else {
        panic!("{name:?} is no header");
    };
    let Ok(value) = HeaderValue::from_bytes(value) else {
        panic!("{value:?} cannot be the value of the header {name}");
    };
    (parsed, value)
}
