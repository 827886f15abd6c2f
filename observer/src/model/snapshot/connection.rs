//! One connection, as outputs show it.

use std::net::SocketAddr;

use serde::Serialize;

/// Who accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Acceptor {
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// Its name.
    pub comm: String,
}

/// A process that holds a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// Process.
    pub pid: u32,
    /// Its name.
    pub comm: String,
}

/// How a connection came into being.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// A request socket waited in the SYN queue for the last ACK.
    Handshake,
    /// A SYN cookie.
    Cookie,
    /// TCP Fast Open.
    Tfo,
    /// It existed before the observer, or was accepted before it could be told.
    Unseen,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Closed in order: by the peer's FIN, or by ours which was acknowledged. What comes after that is the business of
    /// the kernel's timewait object, and not seen here.
    Fin,
    /// The peer reset it.
    RstIn,
    /// This side reset it.
    RstOut,
    /// The kernel gave up on a silent peer.
    Timeout,
    /// It was destroyed while it waited in the accept queue.
    QueuedReset,
    /// None of these was seen.
    Unknown,
    /// Its end was shown to no probe: later its socket was found to be gone.
    Unseen,
    /// It is still open: in lines only with `--open`.
    Open,
}

/// One connection's journey; the `connection` line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Connection {
    /// Own address.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
    /// Cookie of the listener, the exact shard whose queue it left; null for one that was accepted before the start.
    pub listener: Option<u64>,
    /// It came to another shard, which closed while it was queued.
    pub migrated: bool,
    /// SYN received, to 1 µs: when the kernel sent the first SYN-ACK, in the same softirq run.
    pub syn_ns: Option<u64>,
    /// Entered the accept queue.
    pub enqueued_ns: Option<u64>,
    /// Handshake complete; the same instant, but for Fast Open, where it comes later.
    pub established_ns: Option<u64>,
    /// accept(2) returned.
    pub accepted_ns: Option<u64>,
    /// First data was queued.
    pub first_data_ns: Option<u64>,
    /// First read that returned bytes.
    pub first_read_ns: Option<u64>,
    /// First write that took bytes.
    pub first_write_ns: Option<u64>,
    /// State became CLOSE.
    pub closed_ns: Option<u64>,
    /// Stages that are null because they were not seen, not because they did not happen. With `reads` or `writes` some of
    /// those were not seen: how many there were, and by whom, is at least what is told; the bytes are all that there were,
    /// unless the end was not seen either.
    pub unseen: Vec<&'static str>,
    /// Depth of the accept queue when it entered, itself included; null when not seen.
    pub queue_at_arrival: Option<u32>,
    /// SYN-ACKs sent again.
    pub synack_retransmits: u32,
    /// How it came into being.
    pub via: Via,
    /// Who accepted it; null if nobody did, or unseen.
    pub acceptor: Option<Acceptor>,
    /// Who holds it; only for one that was accepted before the start.
    pub holder: Option<Holder>,
    /// Threads that read, in order of their first read.
    pub readers: Vec<u32>,
    /// Threads that wrote, in order of their first write.
    pub writers: Vec<u32>,
    /// There were more readers or writers than the lists can hold.
    pub more_threads: bool,
    /// Reads that returned bytes.
    pub reads: u32,
    /// Writes that took bytes.
    pub writes: u32,
    /// Writes that Nagle held back until the peer acknowledged what went before, at least.
    pub held_writes: u32,
    /// Bytes that reads returned.
    pub bytes_read: u64,
    /// Bytes that writes took.
    pub bytes_written: u64,
    /// Longest wait of data for a read.
    pub longest_read_wait_ns: u64,
    /// How it ended.
    pub end: End,
    /// This side closed first; null when it did not end in order.
    pub closed_first: Option<bool>,
    /// The process that closed it was ending: it had left, or was killed.
    pub at_exit: bool,
}

impl Connection {
    /// Time in the accept queue, if both ends of it were seen.
    pub fn accept_wait_ns(&self) -> Option<u64> {
        Some(self.accepted_ns?.saturating_sub(self.enqueued_ns?))
    }
}
