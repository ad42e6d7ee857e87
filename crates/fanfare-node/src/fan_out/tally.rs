//! What is counted while frames and events are sent.

/// What a run of sends did, added to the counters at its end.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tally {
    /// Calls of send.
    pub(crate) sends: u64,
    /// Frames taken by a socket or an outbox.
    pub(crate) delivered: u64,
    /// Bytes of them.
    pub(crate) bytes: u64,
    /// Frames for sessions that were already close_requested.
    pub(crate) refused: u64,
    /// Sessions close_requested for reading too slowly.
    pub(crate) slow: u64,
    /// Events handed to programs and actors.
    pub(crate) posted: u64,
    /// Events that an actor's mailbox had no room for.
    pub(crate) mailbox_full: u64,
}
