//! One session that gets numbered messages: none missing, none twice.

use std::io::{ErrorKind, Read as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use super::SURPLUS_WAIT;
use super::payload::{FRAME_BYTES, delivered};

const READ_BYTES: usize = 256 * 1024;

/// A session whose messages are counted when all are there.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpStream,
    stall: Duration,
}

impl Listener {
    /// An open session; `stall` is how long messages that are due may stay away.
    ///
    /// # Errors
    /// The socket does not take its options.
    pub(crate) fn new(socket: TcpStream, stall: Duration) -> anyhow::Result<Self> {
        socket.set_nonblocking(false)?;
        Ok(Self { socket, stall })
    }

    /// Reads messages, each the text of its number from 0 on in as many digits as the loader's
    /// messages have bytes; in any order. Answers when the last byte was there.
    ///
    /// # Errors
    /// One is missing, there twice, or something else.
    pub(crate) fn collect(&mut self, messages: usize) -> anyhow::Result<Instant> {
        let mut bytes = Vec::with_capacity(messages * FRAME_BYTES as usize + READ_BYTES);
        let due = messages * FRAME_BYTES as usize;
        self.read(&mut bytes, due, self.stall)?;
        let last = Instant::now();
        if bytes.len() == due {
            self.read(&mut bytes, due + 1, SURPLUS_WAIT)?;
        }
        let (came, different) = tally(&bytes, messages)?;
        ensure!(
            came == messages && different == messages,
            "of {messages} events {different} came, {} of them again",
            came - different
        );
        Ok(last)
    }

    /// Until there are so many bytes, or none comes for a while.
    fn read(&mut self, bytes: &mut Vec<u8>, due: usize, stall: Duration) -> anyhow::Result<()> {
        self.socket.set_read_timeout(Some(stall))?;
        let mut chunk = vec![0; READ_BYTES];
        while bytes.len() < due {
            match self.socket.read(&mut chunk) {
                Ok(0) => bail!("the server closed the session"),
                Ok(read) => bytes.extend_from_slice(chunk.get(..read).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).context("the session failed"),
            }
        }
        Ok(())
    }
}

/// How many messages there are and how many different ones.
fn tally(bytes: &[u8], messages: usize) -> anyhow::Result<(usize, usize)> {
    let like = delivered();
    let header = like.get(..4).context("no header")?;
    let mut seen = vec![false; messages];
    let mut came = 0;
    for frame in bytes.chunks(FRAME_BYTES as usize) {
        let text = frame.strip_prefix(header).context("another frame")?;
        let number: usize = std::str::from_utf8(text)?
            .parse()
            .context("no number in a message")?;
        *seen.get_mut(number).context("a number too high")? = true;
        came += 1;
    }
    Ok((came, seen.into_iter().filter(|seen| *seen).count()))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;

    use super::*;

    fn frames(numbers: &[usize]) -> Vec<u8> {
        let frame = |number: &usize| {
            let mut frame = delivered();
            frame.truncate(4);
            frame.extend(format!("{number:0128}").into_bytes());
            frame
        };
        numbers.iter().flat_map(frame).collect()
    }

    fn collected(sent: &[u8], messages: usize) -> Result<(), String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        server.write_all(sent).unwrap();
        let mut session = Listener::new(socket, Duration::from_millis(50)).unwrap();
        let result = session.collect(messages);
        result.map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn numbered_messages_may_come_in_any_order() {
        assert_eq!(collected(&frames(&[2, 0, 1]), 3), Ok(()));
    }

    #[test]
    fn a_message_that_is_missing_or_there_twice_is_an_error() {
        assert!(
            collected(&frames(&[0, 1]), 3)
                .unwrap_err()
                .contains("2 came")
        );
        assert!(collected(&frames(&[0, 1, 1]), 3).is_err());
        assert!(collected(&frames(&[0, 1, 1]), 2).is_err(), "one too many");
        assert!(collected(b"\x88\x02\x03\xe9", 1).is_err(), "a close frame");
    }
}
