//! Close codes (RFC 6455 §7.4) that Fanfare sends. What a client should make of each is in the table of
//! docs/SEMANTICS.md.

use bytestring::ByteString;

/// What a close frame has room for: a control frame's 125 bytes without the code.
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
    /// The conversation is over.
    pub const NORMAL: Self = Self(1000);
    /// The node is shutting down: connect again, another node answers.
    pub const GOING_AWAY: Self = Self(1001);
    /// The client broke the WebSocket protocol.
    pub const PROTOCOL: Self = Self(1002);
    /// The kind of data cannot be carried, such as binary where the layer speaks JSON.
    pub const UNSUPPORTED: Self = Self(1003);
    /// Never sent: the peer closed without a code.
    pub const NO_STATUS: Self = Self(1005);
    /// Never sent: the connection was lost without a close frame.
    pub const LOST: Self = Self(1006);
    /// Text that is not UTF-8.
    pub const INVALID: Self = Self(1007);
    /// A rule was broken. A slow reader is cut off without a code: its stream ends in half a frame.
    pub const POLICY: Self = Self(1008);
    /// A message or frame over the limit.
    pub const TOO_BIG: Self = Self(1009);
    /// The session failed on the server's side.
    pub const INTERNAL: Self = Self(1011);

    /// Whether a peer may put this code on the wire (RFC 6455 §7.4.1 and §7.4.2).
    pub fn may_be_received(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

/// A code and a reason: how a session is to be closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// The code in the close frame.
    pub code: CloseCode,
    /// The reason in the close frame, at most 123 bytes.
    pub reason: ByteString,
}

/// Why a close cannot be asked for.
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
    /// The start of a reason that fits a close frame: at most 123 bytes, whole characters.
    pub fn cut(reason: &str) -> &str {
        reason
            .get(..reason.floor_char_boundary(REASON_BYTES))
            .unwrap_or_default()
    }

    /// A close with one of the codes 1000, 1001, 1008, 1011 to 1013 or 3000 to 4999, and a reason
    /// of at most 123 bytes.
    ///
    /// # Errors
    /// [`CloseError`] names the code or the reason that is not legal.
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
