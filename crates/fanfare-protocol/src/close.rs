//! Close codes (RFC 6455 §7.4) that Fanfare sends, with what a client should make of each.

/// A close code on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CloseCode(pub u16);

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

    /// Whether a client that sees it should connect again.
    pub fn should_reconnect(self) -> bool {
        matches!(self.0, 1001 | 1011..=1014 | 4000..=4999)
    }
}
