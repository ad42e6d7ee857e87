//! Messages of clients.

use bytes::Bytes;
use bytestring::ByteString;
use fanfare_protocol::CloseCode;
use serde::de::DeserializeOwned;

use crate::failure::Failure;

/// A message of the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Text.
    Text(ByteString),
    /// Bytes.
    Binary(Bytes),
}

/// What a consumer receives of its client: a [`Frame`] as it is, or a value that is read from it,
/// such as a [`JsonFrame`](crate::JsonFrame).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not read from a client's message",
    note = "a consumer receives a `Frame`, or a `JsonFrame<{Self}>` where clients send JSON; the \
            messages of timers are the first parameter: `Consumer<{Self}>`"
)]
pub trait FromFrame: Sized + 'static {
    /// Reads a message of the client.
    ///
    /// # Errors
    /// A [`Failure`], which goes to [`Consumer::failed`](crate::Consumer::failed) as one of a
    /// handler does.
    fn from_frame(frame: Frame) -> Result<Self, Failure>;
}

impl FromFrame for Frame {
    fn from_frame(frame: Frame) -> Result<Self, Failure> {
        Ok(frame)
    }
}

impl Frame {
    /// The text.
    ///
    /// # Errors
    /// A [`Failure`] that closes the session with 1003 when it is binary.
    pub fn into_text(self) -> Result<ByteString, Failure> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Binary(_) => Err(Failure::close(
                CloseCode::UNSUPPORTED,
                "text is expected here",
            )),
        }
    }

    /// The bytes.
    ///
    /// # Errors
    /// A [`Failure`] that closes the session with 1003 when it is text.
    pub fn into_binary(self) -> Result<Bytes, Failure> {
        match self {
            Self::Binary(bytes) => Ok(bytes),
            Self::Text(_) => Err(Failure::close(
                CloseCode::UNSUPPORTED,
                "binary is expected here",
            )),
        }
    }

    /// Parses the text as JSON. A consumer of [`JsonFrame`](crate::JsonFrame)s answers invalid JSON
    /// with an error instead of closing the session.
    ///
    /// ```
    /// use fanfare_consumer::Frame;
    ///
    /// let frame = Frame::Text(r#"["a", "b"]"#.into());
    /// let letters: Vec<String> = frame.json()?;
    /// # assert_eq!(letters, ["a", "b"]);
    /// # Ok::<(), fanfare_consumer::Failure>(())
    /// ```
    ///
    /// # Errors
    /// A [`Failure`] that closes the session: with 1003 if the message is binary, with 1007 if it
    /// is not JSON of the type `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let text = self.clone().into_text()?;
        serde_json::from_str(&text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let reason = format!("no such JSON is expected here: line {line} column {column}");
            Failure::close(CloseCode::INVALID, reason)
        })
    }

    /// The payload, in bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told<T>(outcome: Result<T, Failure>) -> String {
        outcome.map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn the_wrong_kind_of_message_closes_with_1003() {
        let (text, binary) = (Frame::Text("a".into()), Frame::Binary("a".into()));
        assert_eq!(
            told(text.into_binary()),
            "closed with 1003: binary is expected here"
        );
        assert!(told(binary.json::<u8>()).starts_with("closed with 1003"));
        assert_eq!(
            told(binary.into_text()),
            "closed with 1003: text is expected here"
        );
    }

    #[test]
    fn what_is_no_json_closes_with_1007_and_says_where() {
        let told = told(Frame::Text("[1,]".into()).json::<Vec<u8>>());
        assert!(told.starts_with("closed with 1007"), "{told}");
        assert!(told.ends_with("line 1 column 4"), "{told}");
    }
}
