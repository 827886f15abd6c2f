//! The records of a thread.

use super::{COMM, plain};

/// Key of the map of threads. The start time makes a reused thread id another thread.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ThreadKey {
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// `task_struct.start_boottime`.
    pub started_ns: u64,
}

/// [`ThreadEntry::sleeps`] where nothing counts them.
pub const UNCOUNTED: u64 = u64::MAX;

/// Value of the map of threads: what this thread did with sockets that came out of watched listeners.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ThreadEntry {
    /// Connections it accepted.
    pub accepts: u64,
    /// Reads that returned bytes.
    pub reads: u64,
    /// Writes that took bytes.
    pub writes: u64,
    /// Part of `writes`: to connections of which nobody had read anything.
    pub unasked: u64,
    /// Bytes that its reads returned.
    pub bytes_read: u64,
    /// Bytes that its writes took.
    pub bytes_written: u64,
    /// Times it went to sleep by itself, if a hook counts them; in userspace [`UNCOUNTED`] if none does.
    pub sleeps: u64,
    /// When it last did something.
    pub last_ns: u64,
    /// Its name when it was first seen, refreshed at every accept.
    pub comm: [u8; COMM],
}

plain!(ThreadKey = 16);
plain!(ThreadEntry = 8 * 8 + COMM);
