//! The client of a test.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::time::Duration;

use actix_web::http::header::HeaderMap;
use bytes::Bytes;
use fanfare_protocol::CloseCode;
use fanfare_protocol::frame::Opcode;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::codec;
use crate::message::{Closed, Message};
use crate::pump::{Pump, Writer};
use crate::settled::settled;

/// How long a message may take, unless [`WebSocket::timeout`] says otherwise.
const TIMEOUT: Duration = Duration::from_secs(1);
/// How long nothing may come, so that it counts as nothing.
const NOTHING: Duration = Duration::from_millis(100);

/// A connected client. If it is dropped, its connection is lost, and the consumer gets 1006.
///
/// It reads ahead up to 1024 messages, and answers pings and the closing handshake by itself.
pub struct WebSocket {
    writer: Writer,
    pump: Pump,
    /// What the server closed with, once a test has seen it.
    closed: Option<Closed>,
    channel: String,
    headers: HeaderMap,
    timeout: Duration,
}

impl WebSocket {
    pub(crate) fn new((writer, pump): (Writer, Pump), channel: String, headers: HeaderMap) -> Self {
        Self {
            writer,
            pump,
            closed: None,
            channel,
            headers,
            timeout: TIMEOUT,
        }
    }

    /// Sets how long the next calls wait for a message. By default one second.
    pub fn timeout(&mut self, timeout: Duration) -> &mut Self {
        self.timeout = timeout;
        self
    }

    /// The session's channel name.
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// The subprotocol that was chosen.
    pub fn subprotocol(&self) -> Option<&str> {
        self.header("sec-websocket-protocol")
    }

    /// A header of the response that accepted the handshake.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// All headers of that response.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Sends a text message. What is sent to a server that has closed is lost, as on a network.
    pub async fn send_text(&self, text: &str) {
        self.writer.send(Opcode::Text, text.as_bytes()).await;
    }

    /// Sends a binary message.
    pub async fn send_binary(&self, bytes: &[u8]) {
        self.writer.send(Opcode::Binary, bytes).await;
    }

    /// Sends a value as JSON text.
    ///
    /// # Panics
    /// When the value has no JSON.
    pub async fn send_json<T: Serialize + ?Sized>(&self, value: &T) {
        match serde_json::to_string(value) {
            Ok(text) => self.send_text(&text).await,
            Err(error) => panic!("what should be sent has no JSON: {error}"),
        }
    }

    /// The next message, or the end of the connection.
    ///
    /// # Panics
    /// When none comes in time.
    #[track_caller]
    pub fn receive(&mut self) -> impl Future<Output = Message> {
        let at = Location::caller();
        async move {
            let limit = self.timeout;
            match self.next(limit).await {
                Some(message) => message,
                None => panic!("{at}: nothing came within {limit:?}"),
            }
        }
    }

    /// The next message, which is text.
    ///
    /// # Panics
    /// When none comes in time, or something else.
    #[track_caller]
    pub fn receive_text(&mut self) -> impl Future<Output = String> {
        let (at, receive) = (Location::caller(), self.receive());
        async move {
            match receive.await {
                Message::Text(text) => text,
                other => panic!("{at}: expected a text message, but came {other}"),
            }
        }
    }

    /// The next message, which is binary.
    ///
    /// # Panics
    /// When none comes in time, or something else.
    #[track_caller]
    pub fn receive_binary(&mut self) -> impl Future<Output = Bytes> {
        let (at, receive) = (Location::caller(), self.receive());
        async move {
            match receive.await {
                Message::Binary(bytes) => bytes,
                other => panic!("{at}: expected a binary message, but came {other}"),
            }
        }
    }

    /// The next message, which is JSON text of this shape.
    ///
    /// # Panics
    /// When none comes in time, or something else.
    #[track_caller]
    pub fn receive_json<T: DeserializeOwned>(&mut self) -> impl Future<Output = T> {
        let (at, receive) = (Location::caller(), self.receive_text());
        async move {
            let text = receive.await;
            match serde_json::from_str(&text) {
                Ok(value) => value,
                Err(error) => {
                    panic!("{at}: not the JSON that was asked for: {error}: came {text:?}")
                }
            }
        }
    }

    /// Receives messages until `wanted` accepts one, and returns it. Earlier messages are dropped.
    /// All messages must be JSON text of the type `T`.
    ///
    /// # Panics
    /// When none comes in time, or a message that is something else.
    #[track_caller]
    pub fn receive_json_until<T: DeserializeOwned>(
        &mut self,
        mut wanted: impl FnMut(&T) -> bool,
    ) -> impl Future<Output = T> {
        let at = Location::caller();
        async move {
            let limit = self.timeout;
            let found = tokio::time::timeout(limit, async {
                loop {
                    let value = self.receive_json().await;
                    if wanted(&value) {
                        return value;
                    }
                }
            });
            match found.await {
                Ok(value) => value,
                Err(_elapsed) => panic!("{at}: no message that is wanted came within {limit:?}"),
            }
        }
    }

    /// Nothing comes for 100 ms.
    ///
    /// # Panics
    /// When something does, the end of the connection included.
    #[track_caller]
    pub fn receive_nothing(&mut self) -> impl Future<Output = ()> {
        self.receive_nothing_for(NOTHING)
    }

    /// Nothing comes for that long.
    ///
    /// # Panics
    /// When something does, the end of the connection included.
    #[track_caller]
    pub fn receive_nothing_for(&mut self, limit: Duration) -> impl Future<Output = ()> {
        let at = Location::caller();
        async move {
            if let Some(message) = self.next(limit).await {
                panic!("{at}: expected nothing, but came {message}");
            }
        }
    }

    /// The server ends the connection, and nothing comes before that. Its consumer's `disconnect`
    /// has run then, unless it waits for something.
    ///
    /// # Panics
    /// When it does not end it in time, or a message comes first.
    #[track_caller]
    pub fn closed(&mut self) -> impl Future<Output = Closed> {
        let at = Location::caller();
        async move {
            let limit = self.timeout;
            let closed = match self.next(limit).await {
                Some(Message::Closed(closed)) => closed,
                Some(other) => panic!("{at}: expected the end, but came {other}"),
                None => panic!("{at}: the connection was not ended within {limit:?}"),
            };
            settled().await;
            closed
        }
    }

    /// Closes with this code, and waits for the server to end the connection; messages that come
    /// before are dropped. The consumer's `disconnect` has run then, unless it waits for something.
    ///
    /// # Panics
    /// When the server does not end the connection in time.
    #[track_caller]
    pub fn disconnect(mut self, code: u16) -> impl Future<Output = ()> {
        let at = Location::caller();
        async move {
            let payload = codec::close_payload(CloseCode(code), "");
            self.writer.send(Opcode::Close, &payload).await;
            let limit = self.timeout;
            loop {
                match self.next(limit).await {
                    Some(Message::Closed(_)) => break,
                    Some(_) => {}
                    None => panic!("{at}: the server did not answer the close within {limit:?}"),
                }
            }
            settled().await;
        }
    }

    /// Stops reading from the socket: neither messages nor pings. The client can still send.
    pub fn stop_reading(&mut self) {
        self.pump.stop();
    }

    /// Sends bytes unchanged, for tests of clients that break the protocol.
    pub async fn send_raw(&self, bytes: &[u8]) {
        self.writer.send_raw(bytes).await;
    }

    async fn next(&mut self, limit: Duration) -> Option<Message> {
        if let Some(closed) = &self.closed {
            return Some(Message::Closed(closed.clone()));
        }
        let messages = &mut self.pump.messages;
        let message = match timeout(limit, messages.recv()).await {
            Ok(Some(message)) => Some(message),
            // It has stopped reading.
            Ok(None) => None,
            Err(_elapsed) => {
                // Something that came at the very end still counts.
                settled().await;
                messages.try_recv().ok()
            }
        };
        if let Some(Message::Closed(closed)) = &message {
            self.closed = Some(closed.clone());
        }
        message
    }
}

impl fmt::Debug for WebSocket {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = out.debug_struct("WebSocket");
        out.field("channel", &self.channel).finish_non_exhaustive()
    }
}
