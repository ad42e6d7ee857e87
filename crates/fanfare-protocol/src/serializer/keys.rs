//! Fernet tokens: <https://github.com/fernet/spec/blob/master/Spec.md>.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use bytes::Bytes;
use fernet::Fernet;
use sha2::{Digest as _, Sha256};

use crate::error::{DecodeError, SerializeError};

/// How far ahead a token's time may be where time counts, in seconds; as in Python's `cryptography`.
const MOST_AHEAD: u64 = 60;
/// What channels_redis adds to the expiry.
const GRACE: Duration = Duration::from_secs(10);
/// A time that no token is too far ahead of: the fernet crate looks at the time even when it is told
/// no age, which Python does not, and it does so before it knows who made the token.
const END_OF_TIME: u64 = u64::MAX - MOST_AHEAD;

/// At least one key: the first encrypts, all decrypt.
pub(super) struct Keys {
    first: Fernet,
    others: Vec<Fernet>,
    /// The age up to which tokens are taken, in seconds. `None`: time does not count at all.
    most: Option<u64>,
}

impl Keys {
    /// `None` without keys: nothing is to be encrypted.
    pub(super) fn new(keys: &[String], expiry: Option<Duration>) -> Option<Self> {
        let (first, others) = keys.split_first()?;
        Some(Self {
            first: fernet(first),
            others: others.iter().map(|key| fernet(key)).collect(),
            most: expiry.map(|expiry| expiry.saturating_add(GRACE).as_secs()),
        })
    }

    pub(super) fn encrypt(&self, plain: &[u8]) -> Result<String, SerializeError> {
        // Without a random source the fernet crate panics.
        getrandom::fill(&mut [0]).map_err(|_| SerializeError::Random)?;
        Ok(self.first.encrypt_at_time(plain, now()))
    }

    pub(super) fn decrypt(&self, token: &[u8]) -> Result<Bytes, DecodeError> {
        self.decrypt_at(token, now())
    }

    fn decrypt_at(&self, token: &[u8], now: u64) -> Result<Bytes, DecodeError> {
        let token = std::str::from_utf8(token).map_err(|_| DecodeError::Undecryptable)?;
        let plain = std::iter::once(&self.first)
            .chain(&self.others)
            .find_map(|key| key.decrypt_at_time(token, None, END_OF_TIME).ok())
            .ok_or(DecodeError::Undecryptable)?;
        // Only now is the token's time known to be its maker's.
        if let Some(most) = self.most {
            check_age(made(token)?, now, most)?;
        }
        Ok(plain.into())
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.others.len() + 1;
        write!(out, "{count} secret")
    }
}

/// What channels_redis makes of a key of any length: its SHA-256.
fn fernet(key: &str) -> Fernet {
    let digest = URL_SAFE.encode(Sha256::digest(key));
    Fernet::new(&digest).unwrap_or_else(|| unreachable!("a digest has the 32 bytes of a key"))
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

/// When a token was made, in seconds since 1970: behind its first byte, which is the version.
fn made(token: &str) -> Result<u64, DecodeError> {
    let mut head = [0; 9];
    let start = token.get(..12).unwrap_or_default();
    let decoded = URL_SAFE.decode_slice(start, &mut head);
    let [_, time @ ..] = head;
    decoded
        .map(|_| u64::from_be_bytes(time))
        .map_err(|_| DecodeError::Undecryptable)
}

fn check_age(made: u64, now: u64, most: u64) -> Result<(), DecodeError> {
    let (age, ahead) = (now.saturating_sub(made), made.saturating_sub(now));
    if age > most {
        return Err(DecodeError::Expired { age, most });
    }
    if ahead > MOST_AHEAD {
        return Err(DecodeError::Ahead { ahead });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn keys(expiry: Option<u64>) -> Keys {
        let expiry = expiry.map(Duration::from_secs);
        Keys::new(&["sekrit".to_owned()], expiry).unwrap()
    }

    /// A token that was made at `made` and is read at [`NOW`].
    fn read(keys: &Keys, made: u64) -> Result<Bytes, DecodeError> {
        let token = keys.first.encrypt_at_time(b"plain", made);
        keys.decrypt_at(token.as_bytes(), NOW)
    }

    #[test]
    fn a_token_lives_ten_seconds_longer_than_a_message() {
        let core = keys(Some(60));
        assert_eq!(read(&core, NOW - 70).unwrap(), "plain");
        let late = read(&core, NOW - 71);
        assert_eq!(late, Err(DecodeError::Expired { age: 71, most: 70 }));
    }

    #[test]
    fn clocks_may_differ_by_a_minute() {
        let core = keys(Some(60));
        assert_eq!(read(&core, NOW + 60).unwrap(), "plain");
        let early = read(&core, NOW + 61);
        assert_eq!(early, Err(DecodeError::Ahead { ahead: 61 }));
        let absurd = read(&core, u64::MAX);
        let ahead = u64::MAX - NOW;
        assert_eq!(absurd, Err(DecodeError::Ahead { ahead }));
    }

    #[test]
    fn without_an_expiry_time_does_not_count() {
        for made in [0, NOW + 3_600, u64::MAX] {
            assert_eq!(read(&keys(None), made).unwrap(), "plain");
        }
    }
}
