//! Whom a message in the core format names.

use bytestring::ByteString;

use crate::envelope::Envelope;

/// The reserved key of the core format, whose value names the receivers.
pub(crate) const CHANNEL_KEY: &str = "__asgi_channel__";

/// Who finds what under `__asgi_channel__`.
#[derive(Debug, Clone, Copy)]
pub enum Recipients<'a> {
    /// Nothing: the message of a normal channel, and everything in the pub/sub format.
    None,
    /// A full channel name.
    One(&'a str),
    /// A list of full channel names.
    Many(&'a [&'a str]),
}

/// What was under `__asgi_channel__` of a message in the core format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addressed {
    /// The key was absent.
    Nobody,
    /// A full channel name.
    One(ByteString),
    /// A list of full channel names.
    Many(Vec<ByteString>),
}

/// A message that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// The event, without what the layer added.
    pub envelope: Envelope,
    /// Whom it names; always nobody in the pub/sub format.
    pub to: Addressed,
}
