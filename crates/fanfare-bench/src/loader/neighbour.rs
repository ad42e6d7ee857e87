//! A session that is answered and a client that asks for the health, beside whatever else the server
//! has to do.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Probe;
use super::probe::Seen;

/// Longest wait, so that the next echo is not late.
const STEP: Duration = Duration::from_millis(1);
/// Time between two questions for the health, from an answer to the next question.
const PACE: Duration = Duration::from_millis(5);
/// Longest wait for the answer to the last one.
const PATIENCE: Duration = Duration::from_secs(20);
const REQUEST: &[u8] = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

/// The neighbour of attackers.
pub(crate) struct Neighbour {
    echo: Probe,
    health: Health,
}

/// What a neighbour has seen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Neighbourhood {
    /// Of the echo session.
    pub(crate) echo: Seen,
    /// From asking for the health to the answer.
    pub(crate) health: Vec<Duration>,
}

/// A client with one question under way at a time.
struct Health {
    socket: TcpStream,
    /// When the answer that is awaited was asked for.
    asked: Option<Instant>,
    answer: Vec<u8>,
    due: Instant,
    times: Vec<Duration>,
}

impl Neighbour {
    /// Beside an open session of the echo route.
    ///
    /// # Errors
    /// The server is not there.
    pub(crate) fn new(echo: TcpStream, addr: SocketAddr) -> anyhow::Result<Self> {
        let socket = TcpStream::connect(addr).context("no connection for the health")?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            echo: Probe::new(echo),
            health: Health {
                socket,
                asked: None,
                answer: Vec::new(),
                due: Instant::now(),
                times: Vec::new(),
            },
        })
    }

    /// Asks for `time`, then waits for the answers that are under way.
    ///
    /// # Errors
    /// The server closes one of the two, or does not answer.
    pub(crate) fn look(&mut self, time: Duration) -> anyhow::Result<Neighbourhood> {
        self.echo.begin();
        self.health.times.clear();
        let start = Instant::now();
        loop {
            let now = Instant::now();
            let is_over = now.duration_since(start) >= time;
            self.echo.take_turn(now, !is_over)?;
            self.health.take_turn(now, !is_over)?;
            let under_way = self.echo.is_under_way() || self.health.asked.is_some();
            if is_over && !under_way {
                break;
            }
            if now.duration_since(start) >= time + PATIENCE {
                bail!("no answer within {} s", PATIENCE.as_secs());
            }
            let mut sockets = [self.echo.socket(), &self.health.socket]
                .map(|socket| PollFd::new(socket, PollFlags::IN));
            poll(&mut sockets, Some(&Timespec::try_from(STEP)?))?;
        }
        Ok(Neighbourhood {
            echo: self.echo.take_seen(),
            health: std::mem::take(&mut self.health.times),
        })
    }
}

impl Health {
    fn take_turn(&mut self, now: Instant, may_ask: bool) -> anyhow::Result<()> {
        if let Some(asked) = self.asked {
            if self.is_answered()? {
                self.times.push(asked.elapsed());
                self.asked = None;
                self.due = now + PACE;
            }
        } else if may_ask && now >= self.due {
            self.socket
                .write_all(REQUEST)
                .context("cannot ask for the health")?;
            self.asked = Some(Instant::now());
        }
        Ok(())
    }

    /// The answer is short, and its head says that it is JSON: it ends with a brace.
    fn is_answered(&mut self) -> anyhow::Result<bool> {
        let mut buffer = [0; 2048];
        match self.socket.read(&mut buffer) {
            Ok(0) => bail!("the server closed the connection for the health"),
            Ok(read) => self
                .answer
                .extend_from_slice(buffer.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error).context("the connection for the health failed"),
        }
        let is_whole = is_whole(&self.answer);
        if is_whole {
            self.answer.clear();
        }
        Ok(is_whole)
    }
}

fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = crate::handshake::header(head, "Content-Length").and_then(|it| it.parse().ok());
    length.is_some_and(|length: usize| body.len() >= length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_with_the_last_byte_of_its_body() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        assert!(is_whole(answer));
        assert!(!is_whole(&answer[..answer.len() - 1]));
        assert!(!is_whole(&answer[..20]));
    }
}
