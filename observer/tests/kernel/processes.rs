//! Processes that share a listener with the test: they accept, and do nothing else.

use std::os::fd::AsRawFd as _;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use socket2::Socket;

/// Backlog that an [`Acceptor`] passes to listen(2).
pub(crate) const BACKLOG: i32 = 64;

/// A process that calls listen(2) on a socket, accepts from it and closes at once, until it is killed or the thread
/// that started it ends.
pub(crate) struct Acceptor(Pid);

impl Acceptor {
    /// Starts one for a socket that is bound, or listens already.
    pub(crate) fn fork(socket: &Socket) -> Self {
        Self::begin(socket, false)
    }

    /// One that keeps what it accepts, and does nothing with it.
    pub(crate) fn fork_keeping(socket: &Socket) -> Self {
        Self::begin(socket, true)
    }

    fn begin(socket: &Socket, keeps: bool) -> Self {
        let fd = socket.as_raw_fd();
        // SAFETY: the child makes system calls and nothing else, so it matters not what locks other threads held.
        #[expect(unsafe_code, reason = "a process that shares its listener with its parent comes of fork(2)")]
        let pid = unsafe {
            let pid = libc::fork();
            if pid == 0 {
                serve(fd, keeps);
            }
            pid
        };
        Self(Pid::from_raw(pid).expect("cannot fork"))
    }

    /// The same with a number of our choice, which another process may have now.
    pub(crate) fn fork_as(socket: &Socket, number: u32) -> Option<Self> {
        let fd = socket.as_raw_fd();
        let numbers = [number.cast_signed()];
        // SAFETY: as in `fork`; the arguments are plain numbers, zeroes are valid, and `numbers` outlives the call.
        #[expect(unsafe_code, reason = "only clone3(2) takes the number of the new process")]
        let pid = unsafe {
            let mut arguments: libc::clone_args = std::mem::zeroed();
            arguments.exit_signal = libc::SIGCHLD as u64;
            arguments.set_tid = numbers.as_ptr().expose_provenance() as u64;
            arguments.set_tid_size = numbers.len() as u64;
            let pid = libc::syscall(libc::SYS_clone3, &raw mut arguments, size_of::<libc::clone_args>());
            if pid == 0 {
                serve(fd, false);
            }
            pid
        };
        Pid::from_raw(i32::try_from(pid).ok().filter(|pid| *pid > 0)?).map(Self)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.as_raw_nonzero().get().cast_unsigned()
    }
}

/// The child's life.
///
/// # Safety
/// Only in a process of one thread that has no other use for its descriptors.
#[expect(
    unsafe_code,
    reason = "after fork(2) from a process with threads nothing but system calls is allowed"
)]
unsafe fn serve(fd: libc::c_int, keeps: bool) -> ! {
    // SAFETY: no pointer is passed but null where null is allowed.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        // Sockets of other tests, which would stay open as long as this process lives.
        let only = fd.cast_unsigned();
        if only > 0 {
            libc::close_range(0, only - 1, 0);
        }
        libc::close_range(only + 1, u32::MAX, 0);
        libc::listen(fd, BACKLOG);
        loop {
            let accepted = libc::accept4(fd, std::ptr::null_mut(), std::ptr::null_mut(), 0);
            if accepted < 0 {
                libc::_exit(1);
            }
            if !keeps {
                libc::close(accepted);
            }
        }
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = kill_process(self.0, Signal::KILL);
        let _ = waitpid(Some(self.0), WaitOptions::empty());
    }
}
