//! A room: the sockets that get what any of them sends.
//!
//! The sockets stand alone in one compact list (four bytes a member), because a fan-out is a walk
//! over all of them and whatever else it touched would evict the kernel's socket state. What only
//! a few members need, bytes that did not fit into a socket or half a frame, stands aside.

use std::collections::HashMap;
use std::os::fd::OwnedFd;

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{SendFlags, send};

/// Bytes kept for a member whose socket is full, before it is dropped.
const MAX_BACKLOG: usize = 8 << 20;

/// The members of one path.
#[derive(Debug, Default)]
pub(super) struct Room {
    sockets: Vec<Option<OwnedFd>>,
    free: Vec<usize>,
    backlog: HashMap<usize, Vec<u8>>,
    partial: HashMap<usize, Vec<u8>>,
}

impl Room {
    /// Takes a socket in and answers its place.
    pub(super) fn join(&mut self, socket: OwnedFd) -> usize {
        match self.free.pop() {
            Some(index) => {
                if let Some(slot) = self.sockets.get_mut(index) {
                    *slot = Some(socket);
                }
                index
            }
            None => {
                self.sockets.push(Some(socket));
                self.sockets.len() - 1
            }
        }
    }

    /// Closes a member's socket, which also takes it out of the epoll set.
    pub(super) fn leave(&mut self, index: usize) {
        self.backlog.remove(&index);
        self.partial.remove(&index);
        if self.sockets.get_mut(index).and_then(Option::take).is_some() {
            self.free.push(index);
        }
    }

    /// The socket of a member.
    pub(super) fn socket(&self, index: usize) -> Option<&OwnedFd> {
        self.sockets.get(index)?.as_ref()
    }

    /// Takes the half frame that the member's last read ended with.
    pub(super) fn take_partial(&mut self, index: usize) -> Option<Vec<u8>> {
        if self.partial.is_empty() {
            None
        } else {
            self.partial.remove(&index)
        }
    }

    /// Keeps the half frame that the member's read ended with.
    pub(super) fn keep_partial(&mut self, index: usize, bytes: &[u8]) {
        if !bytes.is_empty() && self.socket(index).is_some() {
            self.partial.insert(index, bytes.to_vec());
        }
    }

    /// Writes `frames` to every member: one write each. `token` gives a member's epoll data.
    pub(super) fn deliver(
        &mut self,
        poll: &OwnedFd,
        frames: &[u8],
        token: impl Fn(usize) -> EventData,
    ) {
        let mut dead = Vec::new();
        for (index, socket) in self.sockets.iter().enumerate() {
            let Some(socket) = socket else { continue };
            if !self.backlog.is_empty()
                && let Some(waiting) = self.backlog.get_mut(&index)
            {
                waiting.extend_from_slice(frames);
                if waiting.len() > MAX_BACKLOG {
                    dead.push(index);
                }
                continue;
            }
            let Ok(rest) = write_some(socket, frames) else {
                dead.push(index);
                continue;
            };
            if !rest.is_empty() {
                self.backlog.insert(index, rest.to_vec());
                let both = EventFlags::IN | EventFlags::OUT;
                if epoll::modify(poll, socket, token(index), both).is_err() {
                    dead.push(index);
                }
            }
        }
        for index in dead {
            self.leave(index);
        }
    }

    /// Writes `frame` to one member; control frames and echoes are small enough to go at once.
    pub(super) fn answer(&mut self, index: usize, frame: &[u8]) {
        let sent = self.socket(index).map(|socket| write_some(socket, frame));
        if !matches!(sent, Some(Ok([]))) {
            self.leave(index);
        }
    }

    /// Writes what waits for a member whose socket has room again.
    pub(super) fn drain(&mut self, poll: &OwnedFd, index: usize, token: EventData) {
        let Some(waiting) = self.backlog.remove(&index) else {
            return;
        };
        let Some(socket) = self.socket(index) else {
            return;
        };
        let outcome = match write_some(socket, &waiting) {
            Ok([]) => epoll::modify(poll, socket, token, EventFlags::IN).is_ok(),
            Ok(rest) => {
                let rest = rest.to_vec();
                self.backlog.insert(index, rest);
                true
            }
            Err(_) => false,
        };
        if !outcome {
            self.leave(index);
        }
    }
}

/// One nonblocking write; answers what did not fit.
fn write_some<'a>(socket: &OwnedFd, bytes: &'a [u8]) -> Result<&'a [u8], Errno> {
    match send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
        Ok(sent) => Ok(bytes.get(sent..).unwrap_or_default()),
        Err(Errno::AGAIN) => Ok(bytes),
        Err(error) => Err(error),
    }
}
