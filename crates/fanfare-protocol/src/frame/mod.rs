//! The WebSocket frame codec (RFC 6455 §5), sans-io.
//!
//! - [`push`], [`push_with`] and [`push_close`] append what a server sends.
//! - [`Decoder`] reads what a client sends, in place.

mod decode;
mod encode;
mod header;
mod mask;
mod partial;

pub use decode::Decoder;
pub use encode::{push, push_close, push_with};

use std::str::Utf8Error;

use crate::close::CloseCode;

/// The opcode of a frame (RFC 6455 §5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// Continues a fragmented message.
    Continuation = 0x0,
    /// UTF-8 text.
    Text = 0x1,
    /// Bytes.
    Binary = 0x2,
    /// Ends the connection.
    Close = 0x8,
    /// Asks for a pong.
    Ping = 0x9,
    /// Answers a ping.
    Pong = 0xA,
}

/// A whole message or control frame from a client.
#[derive(Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A text message, assembled and checked.
    Text(&'a str),
    /// A binary message, assembled.
    Binary(&'a [u8]),
    /// A ping; answer with its payload.
    Ping(&'a [u8]),
    /// A pong.
    Pong(&'a [u8]),
    /// The peer closes; no code when the frame was empty.
    Close(Option<(CloseCode, &'a str)>),
}

/// Bounds of what a client may send, in bytes; 0 means no bound.
#[derive(Debug, Clone, Copy)]
pub struct FrameLimits {
    /// Of an assembled message.
    pub message_bytes: usize,
    /// Of one frame's payload.
    pub frame_bytes: usize,
}

/// Why a connection must be closed; `code` says with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct FrameError {
    /// 1002, 1007 or 1009.
    pub code: CloseCode,
    /// A short lowercase sentence, sent as the close reason.
    pub reason: &'static str,
}

impl FrameError {
    const fn protocol(reason: &'static str) -> Self {
        Self {
            code: CloseCode::PROTOCOL,
            reason,
        }
    }

    const fn invalid(reason: &'static str) -> Self {
        Self {
            code: CloseCode::INVALID,
            reason,
        }
    }

    /// Of text that ends a message.
    fn utf8(error: Utf8Error) -> Self {
        Self::invalid(match error.error_len() {
            Some(_) => "the text is not UTF-8",
            None => "the text ends inside a character",
        })
    }

    const fn too_big(reason: &'static str) -> Self {
        Self {
            code: CloseCode::TOO_BIG,
            reason,
        }
    }
}
