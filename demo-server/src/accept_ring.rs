//! An io_uring that does nothing but accept: one multishot request (`IORING_ACCEPT_MULTISHOT`, Linux 5.19) on one
//! listener.
#![expect(
    unsafe_code,
    reason = "io_uring shares memory with the kernel; submitting and adopting descriptors"
)]

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use io_uring::{IoUring, cqueue, opcode, squeue, types};
use rustix::io::Errno;

use crate::connection::Connection;
use crate::listener::{Listener, is_passing};
use crate::stage::Member;
use crate::wake::Wake;

/// Names the accept request among completions.
const ACCEPT: u64 = 1;
/// Names the request that cancels it.
const CANCEL: u64 = 2;

/// Room for requests; the kernel makes the completion queue twice as long, and what overflows it is kept in memory.
const ENTRIES: u32 = 256;

/// The ring, and what it has accepted.
#[derive(Debug)]
pub struct AcceptRing<'a> {
    ring: Ring,
    listener: &'a Listener,
    /// Rung by the kernel for each completion.
    bell: Wake,
    /// Whether the kernel holds the request.
    armed: bool,
    /// Results that wait for [`AcceptRing::take`].
    results: Vec<io::Result<OwnedFd>>,
    /// Why it cannot go on; a request made again would fail again, at once and for ever.
    failure: Option<io::Error>,
}

/// `IoUring` has no `Debug`.
struct Ring(IoUring);

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IoUring")
    }
}

impl<'a> AcceptRing<'a> {
    /// Makes a ring that does not accept yet.
    pub fn new(listener: &'a Listener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let bell = Wake::new()?;
        let cannot = |kind, why: &str| io::Error::new(kind, format!("io_uring cannot be used: {why}"));
        let mut ring = IoUring::new(ENTRIES).map_err(|error| {
            let remedy = "it needs Linux 5.19 and `sysctl kernel.io_uring_disabled=0`";
            cannot(error.kind(), &format!("{error}; {remedy}"))
        })?;
        if !knows_multishot(&mut ring, bell.as_fd())? {
            let why =
                "this kernel has no multishot accept, which came with Linux 5.19; choose another pattern";
            return Err(cannot(io::ErrorKind::Unsupported, why));
        }
        ring.submitter().register_eventfd(bell.as_fd().as_raw_fd())?;
        Ok(Self { ring: Ring(ring), listener, bell, armed: false, results: Vec::new(), failure: None })
    }

    /// Lets the kernel accept from now on, or has it stop and waits until it has.
    pub fn accept_while(&mut self, wanted: bool) -> io::Result<()> {
        if wanted && let Some(error) = self.failure.take() {
            return Err(io::Error::new(error.kind(), format!("accept by io_uring: {error}")));
        }
        if wanted && !self.armed {
            let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
            let accept = opcode::AcceptMulti::new(types::Fd(self.fd())).flags(flags).build();
            self.push(&accept.user_data(ACCEPT))?;
            self.ring.0.submit()?;
            self.armed = true;
        }
        if !wanted && self.armed {
            self.push(&opcode::AsyncCancel::new(ACCEPT).build().user_data(CANCEL))?;
            while self.armed {
                match self.ring.0.submit_and_wait(1) {
                    Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                    _ => self.reap(),
                }
            }
        }
        Ok(())
    }

    /// The connections that the kernel has accepted since.
    pub fn take(&mut self, member: &Member<'_>) -> Vec<Connection> {
        // Quiet first: what completes after that rings again.
        self.bell.quiet();
        self.reap();
        let mut connections = Vec::with_capacity(self.results.len());
        for result in self.results.drain(..) {
            match result {
                Ok(socket) => connections.push(self.listener.adopt(socket, None, member)),
                Err(error) if Errno::from_io_error(&error).is_some_and(is_passing) => {}
                // Not before what was accepted has an owner.
                Err(error) => {
                    self.failure = self.listener.endure(error, member).err().or(self.failure.take())
                }
            }
        }
        connections
    }

    /// Moves completions from the shared memory to `results`, and notes whether the request is still held.
    fn reap(&mut self) {
        for entry in self.ring.0.completion() {
            if entry.user_data() != ACCEPT {
                continue;
            }
            // Without this flag it was the last: after an error, a full completion queue, or its cancellation.
            if !cqueue::more(entry.flags()) {
                self.armed = false;
            }
            match entry.result() {
                error if error == -libc::ECANCELED => {}
                error if error < 0 => self.results.push(Err(io::Error::from_raw_os_error(-error))),
                // SAFETY: a result that is not negative is a descriptor that the kernel has just made for this
                // request, and each completion is seen once.
                socket => self.results.push(Ok(unsafe { OwnedFd::from_raw_fd(socket) })),
            }
        }
    }

    fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        push(&mut self.ring.0, entry)
    }

    fn fd(&self) -> RawFd {
        self.listener.as_fd().as_raw_fd()
    }
}

impl AsFd for AcceptRing<'_> {
    /// Readable when something has been accepted.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

/// Asks the kernel whether it knows the request, by one that cannot succeed: of a descriptor that is no socket. A kernel
/// that knows it says so (`ENOTSOCK`). Others refuse the flag of the request before they look for a socket
/// (`io_accept_prep`: `EINVAL`, which a listener that is closed would give as well).
fn knows_multishot(ring: &mut IoUring, no_socket: BorrowedFd<'_>) -> io::Result<bool> {
    let accept = opcode::AcceptMulti::new(types::Fd(no_socket.as_raw_fd())).build();
    push(ring, &accept.user_data(ACCEPT))?;
    loop {
        match ring.submit_and_wait(1) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        if let Some(entry) = ring.completion().next() {
            return Ok(entry.result() != -libc::EINVAL);
        }
    }
}

fn push(ring: &mut IoUring, entry: &squeue::Entry) -> io::Result<()> {
    // SAFETY: no request of this module points to memory of ours. The descriptors that they name outlive the ring, or the
    // request is completed before its maker returns.
    unsafe { ring.submission().push(entry) }.map_err(io::Error::other)
}
