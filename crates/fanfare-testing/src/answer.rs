//! The answers to requests of a test: an accepted or rejected handshake, or an HTTP response.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::websocket::WebSocket;

/// The answer to a handshake.
#[derive(Debug)]
#[must_use = "a handshake is accepted or rejected"]
pub enum Answer {
    /// The handshake was accepted, and this is its client.
    Accepted(WebSocket),
    /// The handshake was refused with this response.
    Rejected(Response),
}

/// A response of HTTP.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Answer {
    /// The client of an accepted handshake.
    ///
    /// # Panics
    /// When it was rejected, with the response.
    #[track_caller]
    pub fn accepted(self) -> WebSocket {
        match self {
            Self::Accepted(client) => client,
            Self::Rejected(response) => panic!("the handshake was rejected: {response}"),
        }
    }

    /// The response of a rejected handshake.
    ///
    /// # Panics
    /// When it was accepted.
    #[track_caller]
    pub fn rejected(self) -> Response {
        match self {
            Self::Accepted(client) => panic!("the handshake was accepted: {}", client.channel()),
            Self::Rejected(response) => response,
        }
    }

    /// Whether it was accepted.
    pub fn is_accepted(&self) -> bool {
        matches!(self, Self::Accepted(_))
    }
}

impl Response {
    /// A header's value; `None` when it is missing or no text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as text.
    ///
    /// # Panics
    /// When it is not UTF-8.
    #[track_caller]
    pub fn text(&self) -> &str {
        match std::str::from_utf8(&self.body) {
            Ok(text) => text,
            Err(error) => panic!("the body is no text: {error}: {:?}", self.body),
        }
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If the body is not JSON of the type `T`.
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("the body is not the JSON that was asked for: {error}: {self}"),
        }
    }
}

impl fmt::Display for Response {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = String::from_utf8_lossy(&self.body);
        write!(out, "{} {body}", self.status)
    }
}
