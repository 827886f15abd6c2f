//! A wake-up that a thread can wait for beside its sockets: an eventfd.
//!
//! A thread that sleeps in `epoll_wait` or `poll` cannot watch a flag in memory. It watches this descriptor instead,
//! so that a change reaches it at once and without a timeout that would wake it for nothing.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, eventfd};

/// A descriptor that becomes readable when somebody rings it and stays readable until it is quieted.
#[derive(Debug)]
pub struct Wake {
    fd: OwnedFd,
}

impl Wake {
    /// Makes a quiet one. Fails only when descriptors or memory run out.
    pub fn new() -> io::Result<Self> {
        Ok(Self { fd: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)? })
    }

    /// Makes the descriptor readable.
    pub fn ring(&self) {
        // The only error is EAGAIN at 2^64 - 1 unread rings, and then it is readable already.
        let _ = rustix::io::write(&self.fd, &1_u64.to_ne_bytes());
    }

    /// Makes the descriptor unreadable again; the rings so far count as heard.
    pub fn quiet(&self) {
        // EAGAIN says that nobody rang, which is what the caller wants to be so.
        let _ = rustix::io::read(&self.fd, &mut [0_u8; 8]);
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
