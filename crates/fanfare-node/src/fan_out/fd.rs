//! System calls that take `unsafe`: the one place of the workspace with it.
//!
//! The invariant of [`send`]: a descriptor is used only while the session that owns its socket holds its slot.
//! The word of the slot is compared first ([`crate::slots::Slots::send_now`] is the only caller);
//! the session gives up its slot, which changes the word, before it drops its socket; and slots,
//! sessions and fan-out of a worker live on one thread. So a descriptor that the system has
//! closed, or handed to another socket, is never used. What it buys is measured: a fan-out
//! touches 12 bytes a member instead of each session's heap objects (docs/BENCHMARKS.md).
#![expect(
    unsafe_code,
    reason = "borrows descriptors by number, and asks for what no safe call answers; see above"
)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, RawFd};

use rustix::ioctl::{Getter, Opcode, ioctl};
use rustix::net::SendFlags;

/// `TIOCOUTQ`, which for sockets is called `SIOCOUTQ`: what waits to be sent, and what is sent and
/// not acknowledged.
const UNACKNOWLEDGED: Opcode = 0x5411;

/// One nonblocking send without SIGPIPE; answers how many bytes the kernel took.
#[inline]
pub(crate) fn send(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the caller has compared the slot's word, so the socket behind `fd` is open, and
    // nothing can close it during this call: its owner lives on this thread.
    let socket = unsafe { BorrowedFd::borrow_raw(fd) };
    Ok(rustix::net::send(
        socket,
        bytes,
        SendFlags::DONTWAIT | SendFlags::NOSIGNAL,
    )?)
}

/// Bytes of a socket that its peer has not acknowledged; none where the system does not say.
pub(crate) fn unacknowledged(socket: &impl AsFd) -> u32 {
    // SAFETY: the opcode is the one of this question, and the answer to it is an int.
    let answer = unsafe { ioctl(socket, Getter::<UNACKNOWLEDGED, i32>::new()) };
    answer
        .ok()
        .and_then(|bytes| u32::try_from(bytes).ok())
        .unwrap_or(0)
}
