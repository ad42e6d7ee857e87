//! The sockets of the attackers: each sends as much as its rate and its socket allow, and takes
//! whatever comes back.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::Attack;
use crate::loader::connect_all;
use crate::pause::pause;

/// Bytes of messages in one write.
const BURST: usize = 64 * 1024;
/// How long the process rests when no socket takes or has anything.
const REST: Duration = Duration::from_micros(500);

/// Open connections that send the same message again and again.
pub(super) struct Clients {
    clients: Vec<Client>,
    /// Many messages, one after the other.
    burst: Vec<u8>,
}

struct Client {
    socket: TcpStream,
    /// Bytes sent.
    sent: u64,
    open: bool,
}

impl Clients {
    pub(super) fn connect(attack: Attack, count: usize, addr: SocketAddr) -> anyhow::Result<Self> {
        let paths: Option<Vec<String>> = (0..count).map(|client| attack.session(client)).collect();
        let sockets = match paths {
            Some(paths) => connect_all(addr, &paths)?,
            None => (0..count).map(|_| plain(addr)).collect::<Result<_, _>>()?,
        };
        let message = attack.message();
        let client = |socket| Client {
            socket,
            sent: 0,
            open: true,
        };
        Ok(Self {
            clients: sockets.into_iter().map(client).collect(),
            burst: message.repeat(BURST / message.len()),
        })
    }

    /// Goes on for `time`, or until the server has closed all of them; answers the bytes sent.
    pub(super) fn run(mut self, rate: u64, time: Duration) -> u64 {
        let start = Instant::now();
        let mut buffer = vec![0; 256 * 1024];
        while start.elapsed() < time && self.clients.iter().any(|client| client.open) {
            let due = rate * u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX) / 1000;
            let mut moved = false;
            for client in &mut self.clients {
                moved |= client.receive(&mut buffer);
                moved |= client.send(&self.burst, due);
            }
            if !moved {
                pause(REST);
            }
        }
        self.clients.iter().map(|client| client.sent).sum()
    }
}

impl Client {
    /// Sends on from where the last message was cut, unless the rate is used up.
    fn send(&mut self, burst: &[u8], due: u64) -> bool {
        if !self.open || self.sent >= due {
            return false;
        }
        let at = usize::try_from(self.sent % burst.len() as u64).unwrap_or(0);
        let left = usize::try_from(due - self.sent).unwrap_or(usize::MAX);
        let rest = burst.get(at..).unwrap_or_default();
        let rest = rest.get(..left).unwrap_or(rest);
        match self.socket.write(rest) {
            Ok(sent) => self.sent += sent as u64,
            Err(error) => return self.failed(error.kind()),
        }
        true
    }

    fn receive(&mut self, buffer: &mut [u8]) -> bool {
        if !self.open {
            return false;
        }
        match self.socket.read(buffer) {
            Ok(0) => self.open = false,
            Ok(_) => {}
            Err(error) => return self.failed(error.kind()),
        }
        true
    }

    /// A server that closes an attacker does what it may.
    fn failed(&mut self, kind: ErrorKind) -> bool {
        self.open &= matches!(kind, ErrorKind::WouldBlock | ErrorKind::Interrupted);
        false
    }
}

fn plain(addr: SocketAddr) -> anyhow::Result<TcpStream> {
    let socket = TcpStream::connect(addr)?;
    socket.set_nodelay(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
