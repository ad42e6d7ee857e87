//! The limit: a bare epoll loop on one thread, without a framework, doing the deliveries that the
//! product does. What it reaches is what the kernel leaves to anybody.
//!
//! Every path is a room. A text or binary message of a member goes to all members, the sender
//! included, in a frame encoded once. `/ws/echo` gives each socket a room of its own.

mod accept;
mod decode;
mod room;

use std::collections::HashMap;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use anyhow::Context as _;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::net::{RecvFlags, recv};
use socket2::{Domain, Socket, Type};

use accept::{Handshake, Progress};
use decode::{BINARY, CLOSE, PING, PONG, TEXT, decode, push};
use room::Room;

const BACKLOG: i32 = 4096;
const READ_BYTES: usize = 64 * 1024;
const EVENTS: usize = 1024;
const ECHO_PATH: &str = "/ws/echo";
const LISTENER: u32 = u32::MAX;
const HANDSHAKE: u32 = u32::MAX - 1;

/// Serves until the process is ended; prints its address on stdout first.
///
/// # Errors
/// The address cannot be bound, or epoll itself fails.
pub(crate) fn serve(bind: SocketAddr, coalesce: bool) -> anyhow::Result<()> {
    let socket = Socket::new(Domain::for_address(bind), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket
        .bind(&bind.into())
        .with_context(|| format!("cannot bind {bind}"))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    let listener = TcpListener::from(socket);
    let mut stdout = std::io::stdout().lock();
    writeln!(
        stdout,
        "fanfare-bench limit on http://{}",
        listener.local_addr()?
    )?;
    stdout.flush()?;
    drop(stdout);
    Limit::new(listener, coalesce)?.run()
}

struct Limit {
    poll: OwnedFd,
    listener: TcpListener,
    /// Sockets whose request head is not complete, by a number that only grows.
    handshakes: HashMap<u32, Handshake>,
    next_handshake: u32,
    rooms: Vec<Room>,
    names: HashMap<String, u32>,
    /// Frames of the message, or with `coalesce` of the read, that is being delivered.
    frames: Vec<u8>,
    coalesce: bool,
}

impl Limit {
    fn new(listener: TcpListener, coalesce: bool) -> anyhow::Result<Self> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&poll, &listener, token(LISTENER, 0), EventFlags::IN)?;
        Ok(Self {
            poll,
            listener,
            handshakes: HashMap::new(),
            next_handshake: 0,
            rooms: Vec::new(),
            names: HashMap::new(),
            frames: Vec::new(),
            coalesce,
        })
    }

    fn run(&mut self) -> anyhow::Result<()> {
        let mut buffer = vec![0; READ_BYTES];
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            events.clear();
            match epoll::wait(&self.poll, spare_capacity(&mut events), None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).context("epoll_wait failed"),
            }
            for event in &events {
                let data = event.data.u64();
                let (kind, index) = ((data >> 32) as u32, data as u32);
                match kind {
                    LISTENER => self.accept()?,
                    HANDSHAKE => self.shake(index, &mut buffer),
                    room => self.member(room, index as usize, event.flags, &mut buffer),
                }
            }
        }
    }

    fn accept(&mut self) -> anyhow::Result<()> {
        while let Some(handshake) = Handshake::accept(&self.listener)? {
            let number = self.next_handshake;
            self.next_handshake = number.wrapping_add(1);
            let data = token(HANDSHAKE, number);
            epoll::add(&self.poll, handshake.socket(), data, EventFlags::IN)?;
            self.handshakes.insert(number, handshake);
        }
        Ok(())
    }

    fn shake(&mut self, number: u32, buffer: &mut [u8]) {
        let Some(mut handshake) = self.handshakes.remove(&number) else {
            return;
        };
        match handshake.advance(buffer) {
            Progress::Waiting => {
                self.handshakes.insert(number, handshake);
            }
            Progress::Refused => {}
            Progress::Open { path, mut early } => {
                let room = self.room_of(path);
                let Some(members) = self.rooms.get_mut(room as usize) else {
                    return;
                };
                let index = members.join(handshake.into_socket());
                let joined = members.socket(index).is_some_and(|socket| {
                    epoll::modify(
                        &self.poll,
                        socket,
                        member_token(room, index),
                        EventFlags::IN,
                    )
                    .is_ok()
                });
                if joined {
                    self.receive(room, index, &mut early);
                } else {
                    members.leave(index);
                }
            }
        }
    }

    fn room_of(&mut self, path: String) -> u32 {
        let fresh = self.rooms.len() as u32;
        let room = if path == ECHO_PATH {
            fresh
        } else {
            *self.names.entry(path).or_insert(fresh)
        };
        if room == fresh {
            self.rooms.push(Room::default());
        }
        room
    }

    fn member(&mut self, room: u32, index: usize, ready: EventFlags, buffer: &mut [u8]) {
        let Some(members) = self.rooms.get_mut(room as usize) else {
            return;
        };
        if ready.contains(EventFlags::OUT) {
            members.drain(&self.poll, index, member_token(room, index));
        }
        if !ready.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            return;
        }
        let Some(socket) = members.socket(index) else {
            return;
        };
        let read = match recv(socket, &mut *buffer, RecvFlags::DONTWAIT) {
            Ok((0, _)) => return members.leave(index),
            Ok((read, _)) => read,
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return,
            Err(_) => return members.leave(index),
        };
        let Some(bytes) = buffer.get_mut(..read) else {
            return;
        };
        match members.take_partial(index) {
            Some(mut whole) => {
                whole.extend_from_slice(bytes);
                self.receive(room, index, &mut whole);
            }
            None => self.receive(room, index, bytes),
        }
    }

    /// Handles what a member sent; half a frame at the end is kept for its next read.
    fn receive(&mut self, room: u32, index: usize, bytes: &mut [u8]) {
        let Some(members) = self.rooms.get_mut(room as usize) else {
            return;
        };
        let place = |index| member_token(room, index);
        self.frames.clear();
        let mut taken = 0;
        let mut open = true;
        while open && let Some(input) = bytes.get_mut(taken..) {
            let frame = match decode(input) {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(_) => {
                    open = false;
                    break;
                }
            };
            taken += frame.used;
            match frame.opcode {
                TEXT | BINARY => {
                    push(&mut self.frames, frame.opcode, frame.payload);
                    if !self.coalesce {
                        members.deliver(&self.poll, &self.frames, place);
                        self.frames.clear();
                    }
                }
                PING => {
                    let mut pong = Vec::new();
                    push(&mut pong, PONG, frame.payload);
                    members.answer(index, &pong);
                }
                PONG => {}
                CLOSE => {
                    let mut close = Vec::new();
                    push(&mut close, CLOSE, frame.payload);
                    members.answer(index, &close);
                    open = false;
                }
                _ => open = false,
            }
        }
        if !self.frames.is_empty() {
            members.deliver(&self.poll, &self.frames, place);
        }
        if open {
            members.keep_partial(index, bytes.get(taken..).unwrap_or_default());
        } else {
            members.leave(index);
        }
    }
}

fn token(kind: u32, index: u32) -> EventData {
    EventData::new_u64(u64::from(kind) << 32 | u64::from(index))
}

fn member_token(room: u32, index: usize) -> EventData {
    token(room, index as u32)
}
