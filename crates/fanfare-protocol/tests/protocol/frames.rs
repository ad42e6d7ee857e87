//! A client's side of the frame codec: building frames and collecting what a decoder makes of them.

use fanfare_protocol::CloseCode;
use fanfare_protocol::frame::{Decoder, FrameError, FrameLimits, Message, Opcode};

pub(crate) const NO_LIMITS: FrameLimits = FrameLimits {
    message_bytes: 0,
    frame_bytes: 0,
};
pub(crate) const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A message that owns its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owned {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(CloseCode, String)>),
}

impl From<Message<'_>> for Owned {
    fn from(message: Message<'_>) -> Self {
        match message {
            Message::Text(text) => Self::Text(text.to_owned()),
            Message::Binary(bytes) => Self::Binary(bytes.to_vec()),
            Message::Ping(bytes) => Self::Ping(bytes.to_vec()),
            Message::Pong(bytes) => Self::Pong(bytes.to_vec()),
            Message::Close(close) => {
                Self::Close(close.map(|(code, reason)| (code, reason.to_owned())))
            }
        }
    }
}

/// All messages of a stream, and the fault that ended it.
pub(crate) type Outcome = (Vec<Owned>, Option<FrameError>);

/// A masked frame; `first` is its first byte.
pub(crate) fn raw(first: u8, mask: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match u16::try_from(payload.len()) {
        Ok(short) if short < 126 => frame.push(0x80 | payload.len() as u8),
        Ok(medium) => {
            frame.push(0x80 | 126);
            frame.extend(medium.to_be_bytes());
        }
        Err(_) => {
            frame.push(0x80 | 127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend(mask);
    frame.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    frame
}

pub(crate) fn whole(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    raw(0x80 | opcode as u8, MASK, payload)
}

pub(crate) fn part(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    raw(opcode as u8, MASK, payload)
}

/// Decodes a stream that arrives in these reads, as a session does.
pub(crate) fn decode<'a>(
    limits: &FrameLimits,
    reads: impl IntoIterator<Item = &'a [u8]>,
) -> Outcome {
    let mut decoder = Decoder::new();
    let mut messages = Vec::new();
    for read in reads {
        let mut read = read.to_vec();
        let mut rest = read.as_mut_slice();
        loop {
            match decoder.next(limits, rest) {
                Err(error) => return (messages, Some(error)),
                Ok((taken, message)) => {
                    let done = message.is_none();
                    messages.extend(message.map(Owned::from));
                    rest = rest
                        .get_mut(taken..)
                        .expect("no more is taken than there was");
                    if done {
                        assert!(rest.is_empty(), "without a message all input is taken");
                        break;
                    }
                }
            }
        }
    }
    (messages, None)
}

pub(crate) fn decode_whole(stream: &[u8]) -> Outcome {
    decode(&NO_LIMITS, [stream])
}

pub(crate) fn decode_bytewise(stream: &[u8]) -> Outcome {
    decode(&NO_LIMITS, stream.chunks(1))
}

/// Cuts a stream at places that `cuts` chooses: read sizes from 0 to 255, over and over.
pub(crate) fn cut<'a>(mut stream: &'a [u8], cuts: &[u8]) -> Vec<&'a [u8]> {
    let mut reads = Vec::new();
    if cuts.iter().any(|size| *size > 0) {
        for size in cuts.iter().cycle() {
            if stream.is_empty() {
                break;
            }
            let (read, rest) = stream.split_at(usize::from(*size).min(stream.len()));
            reads.push(read);
            stream = rest;
        }
    }
    reads.push(stream);
    reads
}
