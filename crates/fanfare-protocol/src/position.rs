//! Positions: where an event stands in the history of its group.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

/// The longest name of an epoch, in bytes.
const EPOCH_BYTES: usize = 16;

/// An event's place in its group's history; in text `<epoch>:<offset>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    /// Which history: another one begins when the old one is gone.
    pub epoch: Epoch,
    /// The event's number in it, from 1, one more for each event.
    pub offset: NonZeroU64,
}

/// The name of one history of a group: 1 to 16 characters of `[a-z0-9]`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch {
    /// The name, then zeros.
    name: [u8; EPOCH_BYTES],
}

/// Why a text is no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PositionError {
    /// There is no colon between epoch and offset.
    #[error("a position is <epoch>:<offset>, this one has no colon")]
    NoColon,
    /// The epoch is not what an epoch may be.
    #[error("the epoch of a position is 1 to 16 characters of a-z and 0-9")]
    Epoch,
    /// The offset is not what an offset may be.
    #[error("the offset of a position is a decimal number from 1 to 18446744073709551615")]
    Offset,
}

impl Epoch {
    /// The name.
    pub fn as_str(&self) -> &str {
        let name = self.name.split(|byte| *byte == 0).next();
        // Nothing but ASCII gets in.
        name.and_then(|name| str::from_utf8(name).ok())
            .unwrap_or_default()
    }
}

impl FromStr for Epoch {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let mut name = [0; EPOCH_BYTES];
        match name.get_mut(..text.len()) {
            Some(room) if !text.is_empty() && text.bytes().all(legal) => {
                room.copy_from_slice(text.as_bytes());
                Ok(Self { name })
            }
            _ => Err(PositionError::Epoch),
        }
    }
}

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let (epoch, offset) = text.split_once(':').ok_or(PositionError::NoColon)?;
        // `parse` would take a sign and leading zeros too: one position has one spelling.
        if !offset.starts_with(|first: char| matches!(first, '1'..='9')) {
            return Err(PositionError::Offset);
        }
        Ok(Self {
            epoch: epoch.parse()?,
            offset: offset.parse().map_err(|_| PositionError::Offset)?,
        })
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), out)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.epoch, self.offset)
    }
}
