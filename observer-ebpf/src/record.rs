//! The records and map values that cross from the kernel to userspace.
//!
//! Times are CLOCK_MONOTONIC nanoseconds; 0 means "did not happen, or was not seen" (flags tell which). Addresses
//! are in network byte order, IPv4 in the first four bytes; ports are in host byte order.

mod acceptor;
mod connection;
mod listener;
mod thread;
mod window;

pub use acceptor::{AcceptorEntry, AcceptorKey, HolderEntry, HolderKey};
pub use connection::{Connection, NAMED_THREADS};
pub use listener::{
    Endings, LeftOut, ListenerCounters, ListenerEntry, ListenerEvent, ListenerIdentity, PATIENCE_NS, Sample,
    TURNED_AWAY_NS, Writes,
};
pub use thread::{ThreadEntry, ThreadKey, UNCOUNTED};
pub use window::ClosedWindow;

/// Length of a task's name in the kernel (`TASK_COMM_LEN`).
pub const COMM: usize = 16;

/// `kind` of the records in the event ring.
pub mod kind {
    /// [`ListenerEvent`](super::ListenerEvent): a listener is now in the map.
    pub const LISTENER_OPENED: u32 = 1;
    /// [`ListenerEvent`](super::ListenerEvent): its socket is gone; userspace reads its entry once more and deletes it.
    pub const LISTENER_CLOSED: u32 = 2;
    /// [`Connection`](super::Connection): a connection ended.
    pub const CONNECTION_ENDED: u32 = 3;
    /// [`Sample`](super::Sample), in the ring of samples.
    pub const SAMPLE: u32 = 4;
}

/// Bits of [`Connection::flags`].
pub mod flag {
    /// accept(2) returned it.
    pub const ACCEPTED: u32 = 1;
    /// Data for the program has arrived.
    pub const DATA: u32 = 1 << 1;
    /// The program has read some of it.
    pub const READ: u32 = 1 << 2;
    /// It was read or written without an accept that a probe saw: accepted by an unseen path, time unknown.
    pub const ACCEPT_UNSEEN: u32 = 1 << 3;
    /// It was queued before the observer started: nothing before the accept was seen.
    pub const ARRIVAL_UNSEEN: u32 = 1 << 4;
    /// A reset from the peer arrived.
    pub const RESET_IN: u32 = 1 << 5;
    /// This side sent a reset.
    pub const RESET_OUT: u32 = 1 << 6;
    /// The socket gave up with ETIMEDOUT.
    pub const TIMED_OUT: u32 = 1 << 7;
    /// This side closed first (its state was FIN_WAIT1, FIN_WAIT2 or CLOSING).
    pub const CLOSED_FIRST: u32 = 1 << 8;
    /// More threads read than the record can name.
    pub const MORE_READERS: u32 = 1 << 9;
    /// More threads wrote than the record can name.
    pub const MORE_WRITERS: u32 = 1 << 10;
    /// Closed in order: the peer's FIN came, or ours was acknowledged.
    pub const FIN: u32 = 1 << 11;
    /// It was accepted before the observer started: the acceptor's fields name a process that holds it.
    pub const HELD: u32 = 1 << 12;
    /// Its listener closed, and the kernel moved it to the queue of another shard (`net.ipv4.tcp_migrate_req`).
    pub const MIGRATED: u32 = 1 << 13;
    /// Some of its bytes were read unseen: by a path that has no hook here (splice), or while the program was skipped. How
    /// often, by whom and when is unknown.
    pub const READ_UNSEEN: u32 = 1 << 14;
    /// The same of bytes that were written.
    pub const WRITE_UNSEEN: u32 = 1 << 15;
    /// Its end was shown to no program: its socket was found to be gone.
    pub const END_UNSEEN: u32 = 1 << 16;
    /// The peer closed first: its FIN came while this side was open.
    pub const PEER_CLOSED: u32 = 1 << 17;
    /// The process that closed it was ending: it had left, or was killed.
    pub const AT_EXIT: u32 = 1 << 18;

    /// Whether it is accepted and data waits that nobody has read any of: what a listener's `unread` counts.
    #[inline(always)]
    pub const fn is_unread(flags: u32) -> bool {
        flags & (ACCEPTED | DATA | READ) == ACCEPTED | DATA
    }
}

/// How a connection came into being.
pub mod via {
    /// A request socket waited for the handshake's last ACK.
    pub const HANDSHAKE: u8 = 0;
    /// A SYN cookie: the kernel kept no state between SYN and ACK, so there is no SYN-queue time.
    pub const COOKIE: u8 = 1;
    /// TCP Fast Open: it was queued before the handshake ended.
    pub const FAST_OPEN: u8 = 2;
    /// It existed before the observer, or its request was gone before it could be read.
    pub const UNSEEN: u8 = 3;
}

/// Stages whose durations are counted per listener, as indices of [`ListenerEntry::histograms`].
pub mod stage {
    /// First SYN-ACK sent (in the same softirq run in which the SYN came) → established.
    pub const SYN_WAIT: usize = 0;
    /// Entered the accept queue → accepted.
    pub const ACCEPT_WAIT: usize = 1;
    /// Accepted → first read.
    pub const ACCEPT_TO_READ: usize = 2;
    /// First data queued since the last read → the next read.
    pub const DATA_TO_READ: usize = 3;
    /// First read → first write.
    pub const READ_TO_WRITE: usize = 4;
    /// Accepted → first write, where that comes before any read.
    pub const ACCEPT_TO_WRITE: usize = 5;
    /// Entered the accept queue → socket destroyed.
    pub const LIFETIME: usize = 6;
    /// Number of stages.
    pub const STAGES: usize = 7;
    /// Names, in the order of the indices.
    pub const NAMES: [&str; STAGES] = [
        "syn_wait",
        "accept_wait",
        "accept_to_read",
        "data_to_read",
        "read_to_write",
        "accept_to_write",
        "lifetime",
    ];
}

/// Promises [`Plain`](crate::Plain) for a record whose parts add up to its size, so that there is no padding.
macro_rules! plain {
    ($name:ty = $size:expr) => {
        // SAFETY: `#[repr(C)]`, integers and arrays of them; the assertion proves the absence of gaps.
        #[expect(unsafe_code, reason = "see the trait")]
        unsafe impl crate::Plain for $name {}
        const _: () = assert!(size_of::<$name>() == $size);
    };
}
use plain;
