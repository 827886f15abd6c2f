//! Signals: the two that end the program, read from a descriptor, and one that pulls a thread out of a blocking call.
//!
//! All `unsafe` of the crate that concerns signals is here; rustix leaves this part to the C library on purpose.
#![expect(unsafe_code, reason = "sigaction, pthread_sigmask, signalfd and tgkill have no safe wrapper here")]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::Once;

/// SIGINT and SIGTERM as a descriptor that becomes readable when one of them has arrived.
#[derive(Debug)]
pub struct StopSignals {
    fd: OwnedFd,
}

impl StopSignals {
    /// Blocks both signals in this thread, and in every thread it starts from now on, and opens the descriptor.
    ///
    /// Call it before any other thread exists: a signal goes to any thread that does not block it.
    pub fn take() -> io::Result<Self> {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigemptyset initialises the set before anything reads it; the signal numbers are valid; signalfd
        // with -1 makes a new descriptor, which is owned from here on by OwnedFd alone.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            libc::sigaddset(set.as_mut_ptr(), libc::SIGINT);
            libc::sigaddset(set.as_mut_ptr(), libc::SIGTERM);
            let failed = libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), ptr::null_mut());
            if failed != 0 {
                return Err(io::Error::from_raw_os_error(failed));
            }
            let fd = libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(Self { fd: OwnedFd::from_raw_fd(fd) })
        }
    }
}

impl AsFd for StopSignals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The signal of [`interrupt`]: nothing else in this program uses it.
const INTERRUPTION: libc::c_int = libc::SIGUSR1;

extern "C" fn nothing(_signal: libc::c_int) {}

/// Installs, once, the handler that makes [`interrupt`] work.
///
/// The handler does nothing. It exists so that the signal neither kills the process nor is ignored, and it is
/// installed without `SA_RESTART`, so that accept(2), read(2) and write(2) return `EINTR`.
pub fn allow_interruption() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // SAFETY: a zeroed sigaction is a valid one (no flags, empty mask); `nothing` is async-signal-safe because
        // it does nothing, and it lives as long as the program.
        unsafe {
            let mut action = MaybeUninit::<libc::sigaction>::zeroed().assume_init();
            action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as libc::sighandler_t;
            libc::sigaction(INTERRUPTION, &raw const action, ptr::null_mut());
        }
    });
}

/// Makes the blocking call in which thread `tid` of this process is return `EINTR`.
///
/// A thread that is not in a blocking call takes no notice, and a thread that has ended is no error.
pub fn interrupt(tid: i32) {
    // SAFETY: tgkill reads no memory of ours, and the handler of this signal is installed before any thread that
    // can be named here exists.
    unsafe {
        libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, INTERRUPTION);
    }
}
