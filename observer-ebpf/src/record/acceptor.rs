//! The records of who accepts from a listener, and of who holds it.

use super::{COMM, ThreadKey, plain};

/// Key of the map of acceptors: a thread, at one listener.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AcceptorKey {
    /// Cookie of the listener.
    pub listener: u64,
    /// The thread.
    pub thread: ThreadKey,
}

/// Value of the map of acceptors: what this thread's calls of accept(2) on this listener came to.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct AcceptorEntry {
    /// Connections it accepted.
    pub accepts: u64,
    /// Its last accept; 0 if none.
    pub accepted_ns: u64,
    /// Calls that failed, but for EAGAIN and those that a signal interrupted.
    pub failures: u64,
    /// Its first failure since its last accept; 0 if none.
    pub failing_ns: u64,
    /// Its last failure; 0 if none.
    pub failed_ns: u64,
    /// The error of it.
    pub errno: u32,
    /// Unused; keeps the size a multiple of eight.
    pub reserved: u32,
    /// Its name at its last accept or failure.
    pub comm: [u8; COMM],
}

/// Key of the map of holders: a descriptor of a process that is a listener.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HolderKey {
    /// Cookie of the listener.
    pub listener: u64,
    /// Process.
    pub pid: u32,
    /// Number of the descriptor.
    pub descriptor: u32,
}

/// Value of the map of holders.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct HolderEntry {
    /// Name of the process.
    pub comm: [u8; COMM],
}

plain!(AcceptorKey = 8 + size_of::<ThreadKey>());
plain!(AcceptorEntry = 5 * 8 + 2 * 4 + COMM);
plain!(HolderKey = 8 + 2 * 4);
plain!(HolderEntry = COMM);
