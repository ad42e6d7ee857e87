//! Sends on a raw descriptor: the one place of the workspace with `unsafe`.
//!
//! Invariant: a descriptor is used only while the session that owns its socket holds its slot.
//! The word of the slot is compared first ([`crate::slots::Slots::send_now`] is the only caller);
//! the session gives up its slot, which changes the word, before it drops its socket; and slots,
//! sessions and fan-out of a worker live on one thread. So a descriptor that the system has
//! closed, or handed to another socket, is never used. What it buys is measured: a fan-out
//! touches 12 bytes a member instead of each session's heap objects (docs/BENCHMARKS.md).
#![expect(
    unsafe_code,
    reason = "borrows descriptors by number; see the invariant above"
)]

use std::io;
use std::os::fd::{BorrowedFd, RawFd};

use rustix::net::SendFlags;

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
