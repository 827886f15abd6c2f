//! The records and map values that cross from the kernel to userspace.
//!
//! Times are CLOCK_MONOTONIC nanoseconds; 0 means "did not happen, or was not seen" (flags tell which). Addresses
//! are in network byte order, IPv4 in the first four bytes; ports are in host byte order.

use crate::{Plain, histogram::BUCKETS};

/// Length of a task's name in the kernel (`TASK_COMM_LEN`).
pub const COMM: usize = 16;
/// Readers, and writers, that a connection record can name; [`flag::MORE_READERS`] tells that there were more.
pub const NAMED_THREADS: usize = 4;

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
    /// This side closed first (its state before CLOSE was FIN_WAIT2, CLOSING or FIN_WAIT1).
    pub const CLOSED_FIRST: u32 = 1 << 8;
    /// More threads read than the record can name.
    pub const MORE_READERS: u32 = 1 << 9;
    /// More threads wrote than the record can name.
    pub const MORE_WRITERS: u32 = 1 << 10;
    /// Closed in order: the peer's FIN came, or ours was acknowledged.
    pub const FIN: u32 = 1 << 11;
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
    /// Established (= entered the accept queue) → accepted.
    pub const ACCEPT_WAIT: usize = 1;
    /// Accepted → first read.
    pub const ACCEPT_TO_READ: usize = 2;
    /// First data queued since the last read → the next read.
    pub const DATA_TO_READ: usize = 3;
    /// First read → first write.
    pub const READ_TO_WRITE: usize = 4;
    /// Established → socket destroyed.
    pub const LIFETIME: usize = 5;
    /// Number of stages.
    pub const STAGES: usize = 6;
    /// Names, in the order of the indices.
    pub const NAMES: [&str; STAGES] =
        ["syn_wait", "accept_wait", "accept_to_read", "data_to_read", "read_to_write", "lifetime"];
}

/// A connection's whole journey, filled in place in the kernel and sent once, when its socket is destroyed.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Connection {
    /// [`kind::CONNECTION_ENDED`], so that the map's value can be sent as it is.
    pub kind: u32,
    /// Bits of [`flag`].
    pub flags: u32,
    /// Cookie of the listener (the exact shard) that it came out of.
    pub listener: u64,
    /// Handshake complete; the same softirq run put it into the accept queue.
    pub established_ns: u64,
    /// accept(2) returned.
    pub accepted_ns: u64,
    /// First data was in the receive queue.
    pub first_data_ns: u64,
    /// First read that returned bytes.
    pub first_read_ns: u64,
    /// First write that took bytes.
    pub first_write_ns: u64,
    /// State became CLOSE.
    pub closed_ns: u64,
    /// The socket was destroyed.
    pub destroyed_ns: u64,
    /// Oldest data that no read has come for yet; 0 when there is none.
    pub unread_since_ns: u64,
    /// Longest wait of data for a read.
    pub longest_read_wait_ns: u64,
    /// Bytes that reads returned.
    pub bytes_read: u64,
    /// Bytes that writes took.
    pub bytes_written: u64,
    /// Reads that returned bytes.
    pub reads: u32,
    /// Writes that took bytes.
    pub writes: u32,
    /// First SYN-ACK sent → established in microseconds; 0 when unknown (a cookie, or its request was gone).
    pub syn_wait_us: u32,
    /// Depth of the accept queue when this connection entered it, itself included.
    pub queue_at_arrival: u32,
    /// Process that accepted.
    pub acceptor_pid: u32,
    /// Thread that accepted.
    pub acceptor_tid: u32,
    /// Name of the thread that accepted.
    pub acceptor_comm: [u8; COMM],
    /// Threads that read, in order of their first read.
    pub readers: [u32; NAMED_THREADS],
    /// Threads that wrote, in order of their first write.
    pub writers: [u32; NAMED_THREADS],
    /// Own address.
    pub local_address: [u8; 16],
    /// The peer's address.
    pub remote_address: [u8; 16],
    /// Own port.
    pub local_port: u16,
    /// The peer's port.
    pub remote_port: u16,
    /// `AF_INET` or `AF_INET6`.
    pub family: u16,
    /// SYN-ACKs sent again before it was established.
    pub synack_retransmits: u8,
    /// One of [`via`].
    pub via: u8,
}

impl Connection {
    /// One of which nothing is known yet.
    pub const BLANK: Self = Self {
        kind: kind::CONNECTION_ENDED,
        flags: 0,
        listener: 0,
        established_ns: 0,
        accepted_ns: 0,
        first_data_ns: 0,
        first_read_ns: 0,
        first_write_ns: 0,
        closed_ns: 0,
        destroyed_ns: 0,
        unread_since_ns: 0,
        longest_read_wait_ns: 0,
        bytes_read: 0,
        bytes_written: 0,
        reads: 0,
        writes: 0,
        syn_wait_us: 0,
        queue_at_arrival: 0,
        acceptor_pid: 0,
        acceptor_tid: 0,
        acceptor_comm: [0; COMM],
        readers: [0; NAMED_THREADS],
        writers: [0; NAMED_THREADS],
        local_address: [0; 16],
        remote_address: [0; 16],
        local_port: 0,
        remote_port: 0,
        family: 0,
        synack_retransmits: 0,
        via: via::HANDSHAKE,
    };
}

/// What a listener is; constant while it lives, but for the owner of one that existed before.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ListenerIdentity {
    /// Socket cookie: never reused, the same that sock_diag and `SO_COOKIE` give.
    pub cookie: u64,
    /// Address of the `struct sock`; only the sampler follows it, and checks the cookie there.
    pub sock: u64,
    /// When listen(2) was called; 0 if before the observer started.
    pub opened_ns: u64,
    /// When its socket was destroyed; 0 while it lives.
    pub destroyed_ns: u64,
    /// Inode number of its network namespace.
    pub netns: u32,
    /// Process that called listen(2), or that holds the socket.
    pub pid: u32,
    /// Thread that called listen(2); 0 if before the observer started.
    pub tid: u32,
    /// `AF_INET` or `AF_INET6`.
    pub family: u16,
    /// Port.
    pub port: u16,
    /// Address it is bound to.
    pub address: [u8; 16],
    /// Name of the thread that called listen(2), or of the process that holds the socket.
    pub comm: [u8; COMM],
}

/// What happened to a listener's connections since the observer began to watch it.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ListenerCounters {
    /// Connections that entered the accept queue.
    pub enqueued: u64,
    /// Connections that left it through accept, arrivals of before the start included.
    pub accepted: u64,
    /// Part of `accepted`: by a path that no probe sees, so without time or acceptor.
    pub accepted_unseen: u64,
    /// Connections destroyed in the queue, never accepted.
    pub dropped_queued: u64,
    /// Connections that came through a SYN cookie.
    pub cookies: u64,
    /// SYN-ACKs sent again.
    pub synack_retransmits: u64,
    /// Followed connections whose socket is destroyed.
    pub ended: u64,
    /// Accepted, data waiting, never read, now. Signed, because its two halves are counted on different processors.
    pub unread: i64,
    /// Depth of the accept queue when watching began.
    pub queued_at_start: u32,
    /// `sk_drops` when watching began.
    pub drops_at_start: u32,
    /// Deepest accept queue since the last sample.
    pub peak: u32,
    /// Unused; keeps the size a multiple of eight.
    pub reserved: u32,
}

/// Value of the map of listeners, keyed by cookie.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ListenerEntry {
    /// What it is.
    pub identity: ListenerIdentity,
    /// What happened.
    pub counters: ListenerCounters,
    /// Longest duration of each [`stage`], nanoseconds.
    pub longest: [u64; stage::STAGES],
    /// Durations of each [`stage`] by [`bucket`](crate::histogram::bucket). They wrap; userspace adds differences.
    pub histograms: [[u32; BUCKETS]; stage::STAGES],
}

/// A notice about a listener; the entry itself is in the map.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ListenerEvent {
    /// [`kind::LISTENER_OPENED`] or [`kind::LISTENER_CLOSED`].
    pub kind: u32,
    /// Unused.
    pub reserved: u32,
    /// The listener's cookie.
    pub cookie: u64,
    /// When.
    pub time_ns: u64,
}

/// Queue depths of one listener at one instant, read from the kernel's own `struct sock`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// [`kind::SAMPLE`].
    pub kind: u32,
    /// `sk_state`; 10 (LISTEN) unless the socket was shut down.
    pub state: u16,
    /// Port; listen(2) without bind(2) gets it only after the listener's opening was seen.
    pub port: u16,
    /// The listener's cookie.
    pub cookie: u64,
    /// When it was read.
    pub time_ns: u64,
    /// `sk_ack_backlog`: connections in the accept queue.
    pub accept_queue: u32,
    /// `sk_max_ack_backlog`: the limit; the queue is full at limit + 1.
    pub limit: u32,
    /// `icsk_accept_queue.qlen`: request sockets in the SYN queue.
    pub syn_queue: u32,
    /// `icsk_accept_queue.young`: those of them whose SYN-ACK was not sent again.
    pub syn_queue_young: u32,
    /// `sk_drops`: everything this listener refused since it was created; wraps.
    pub drops: u32,
    /// Deepest accept queue since the sample before.
    pub peak: u32,
    /// Counters at the same instant.
    pub counters: ListenerCounters,
}

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
    /// Bytes that its reads returned.
    pub bytes_read: u64,
    /// Bytes that its writes took.
    pub bytes_written: u64,
    /// When it last did one of these.
    pub last_ns: u64,
    /// Its name when it was first seen, refreshed at every accept.
    pub comm: [u8; COMM],
}

macro_rules! plain {
    ($($name:ty),* $(,)?) => {
        $(
            // SAFETY: `#[repr(C)]`, integers and arrays of them; `without_padding` below proves the absence of gaps.
            #[expect(unsafe_code, reason = "see the trait")]
            unsafe impl Plain for $name {}
        )*
    };
}
plain!(
    Connection,
    ListenerIdentity,
    ListenerCounters,
    ListenerEntry,
    ListenerEvent,
    Sample,
    ThreadKey,
    ThreadEntry,
);

/// The sizes of the parts add up to the whole, so the compiler put no padding anywhere.
const _: () = {
    assert!(size_of::<Connection>() == 2 * 4 + 12 * 8 + 6 * 4 + COMM + 8 * NAMED_THREADS + 32 + 3 * 2 + 2);
    assert!(size_of::<ListenerIdentity>() == 4 * 8 + 3 * 4 + 2 * 2 + 16 + COMM);
    assert!(size_of::<ListenerCounters>() == 8 * 8 + 4 * 4);
    assert!(
        size_of::<ListenerEntry>()
            == size_of::<ListenerIdentity>()
                + size_of::<ListenerCounters>()
                + stage::STAGES * (8 + 4 * BUCKETS)
    );
    assert!(size_of::<ListenerEvent>() == 2 * 4 + 2 * 8);
    assert!(size_of::<Sample>() == 2 * 4 + 2 * 8 + 6 * 4 + size_of::<ListenerCounters>());
    assert!(size_of::<ThreadKey>() == 16);
    assert!(size_of::<ThreadEntry>() == 6 * 8 + COMM);
};
