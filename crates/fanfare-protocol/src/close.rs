//! Close codes (RFC 6455 §7.4) that Fanfare sends. The table in docs/SEMANTICS.md says for each
//! code whether a client should connect again.

use bytestring::ByteString;

/// The longest reason of a close frame, in bytes: the 125 bytes of a control frame without the
/// code.
const REASON_BYTES: usize = 123;

/// A close code on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CloseCode(pub u16);

impl From<u16> for CloseCode {
    fn from(code: u16) -> Self {
        Self(code)
    }
}

impl CloseCode {
    /// The connection has done its work.
    pub const NORMAL: Self = Self(1000);
    /// The node is shutting down. The client should connect again, to another node.
    pub const GOING_AWAY: Self = Self(1001);
    /// The client broke the WebSocket protocol.
    pub const PROTOCOL: Self = Self(1002);
    /// The layer cannot carry this kind of data, such as bytes in a layer with JSON.
    pub const UNSUPPORTED: Self = Self(1003);
    /// The peer closed without a code. This code is never sent.
    pub const NO_STATUS: Self = Self(1005);
    /// The connection was lost without a close frame. This code is never sent.
    pub const LOST: Self = Self(1006);
    /// A text message was not UTF-8.
    pub const INVALID: Self = Self(1007);
    /// A rule of the application was broken. It is not for clients that read too slowly: their
    /// connections end without a close frame.
    pub const POLICY: Self = Self(1008);
    /// A message or frame was over the limit.
    pub const TOO_BIG: Self = Self(1009);
    /// A handler of the session failed or panicked.
    pub const INTERNAL: Self = Self(1011);

    /// Whether a peer may send this code (RFC 6455 §7.4.1 and §7.4.2).
    pub fn may_be_received(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

/// The code and the reason with which a session is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// The code in the close frame.
    pub code: CloseCode,
    /// The reason in the close frame, at most 123 bytes.
    pub reason: ByteString,
}

/// Why a close is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloseError {
    /// The code is not one that a server may choose.
    #[error(
        "the close code {0} cannot be sent: use 1000, 1001, 1008, 1011 to 1013 or 3000 to 4999"
    )]
    Code(u16),
    /// The reason does not fit a close frame.
    #[error("the close reason has {bytes} bytes, the most is 123")]
    Reason {
        /// How many bytes it has.
        bytes: usize,
    },
}

impl Close {
    /// The start of a reason that fits into a close frame: at most 123 bytes of whole characters.
    pub fn cut(reason: &str) -> &str {
        reason
            .get(..reason.floor_char_boundary(REASON_BYTES))
            .unwrap_or_default()
    }

    /// A close with one of the codes 1000, 1001, 1008, 1011 to 1013 or 3000 to 4999, and a reason
    /// of at most 123 bytes.
    ///
    /// # Errors
    /// [`CloseError`] names the code or the reason that is not valid.
    pub fn new(code: CloseCode, reason: impl Into<ByteString>) -> Result<Self, CloseError> {
        if !matches!(code.0, 1000 | 1001 | 1008 | 1011..=1013 | 3000..=4999) {
            return Err(CloseError::Code(code.0));
        }
        let reason = reason.into();
        if reason.len() > REASON_BYTES {
            let bytes = reason.len();
            return Err(CloseError::Reason { bytes });
        }
        Ok(Self { code, reason })
    }
}
