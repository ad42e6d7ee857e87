//! Messages that a client receives from the server.

use std::fmt;

use bytes::Bytes;
use fanfare_protocol::CloseCode;

/// A message from the server, or the end of the connection.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Bytes),
    /// The end of the connection.
    Closed(Closed),
}

/// How the server ended a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// The code of the server's close frame. 1005 for a frame without a code, 1006 if there was no
    /// frame.
    pub code: CloseCode,
    /// The reason in its close frame.
    pub reason: String,
}

impl Closed {
    pub(crate) fn lost() -> Self {
        Self {
            code: CloseCode::LOST,
            reason: String::new(),
        }
    }
}

impl PartialEq<(u16, &str)> for Closed {
    fn eq(&self, (code, reason): &(u16, &str)) -> bool {
        self.code.0 == *code && self.reason == *reason
    }
}

impl fmt::Display for Message {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(out, "the text {text:?}"),
            Self::Binary(bytes) => write!(out, "the bytes {bytes:?}"),
            Self::Closed(closed) => write!(out, "{closed}"),
        }
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            CloseCode::LOST => out.write_str("the end of the connection without a close frame"),
            code => write!(out, "the close {} {:?}", code.0, self.reason),
        }
    }
}
