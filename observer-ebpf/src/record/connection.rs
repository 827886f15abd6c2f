//! The record of one connection.

use super::{COMM, kind, plain, via};

/// Readers, and writers, that a connection record can name; [`flag::MORE_READERS`](super::flag::MORE_READERS) tells that there were more.
pub const NAMED_THREADS: usize = 4;

/// A connection's whole journey, filled in place in the kernel and sent once, when its socket is destroyed.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Connection {
    /// [`kind::CONNECTION_ENDED`], so that the map's value can be sent as it is.
    pub kind: u32,
    /// Bits of [`flag`](super::flag).
    pub flags: u32,
    /// Cookie of the listener (the exact shard) that it came out of; 0 for one that was accepted before the start.
    pub listener: u64,
    /// It entered the accept queue.
    pub enqueued_ns: u64,
    /// Handshake complete; the same softirq run put it into the accept queue, unless it is a Fast Open one, which was
    /// put there before.
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
    /// The socket was destroyed; 0 if no program was shown that.
    pub destroyed_ns: u64,
    /// Oldest data that no read has come for yet; 0 when there is none.
    pub unread_since_ns: u64,
    /// Last read, if nothing was written since; 0 otherwise.
    pub read_unanswered_ns: u64,
    /// Longest wait of data for a read.
    pub longest_read_wait_ns: u64,
    /// Last write that its listener's [`spells`](super::Writes::spells) count.
    pub spell_ns: u64,
    /// Last write, if Nagle held it back and the peer has sent nothing since; 0 otherwise.
    pub held_ns: u64,
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
    /// Writes that Nagle held back until the peer acknowledged what went before.
    pub held_writes: u32,
    /// The socket's `write_seq` after the write of `held_ns`; 0 when the record is sent.
    pub held_to: u32,
    /// The socket's `copied_seq` when its reads began to be counted. This and the next three are 0 when the record is sent.
    pub read_from: u32,
    /// Its `write_seq` when its writes began to be counted.
    pub written_from: u32,
    /// Its `copied_seq` when its state became CLOSE, without a FIN.
    pub read_to: u32,
    /// Its `write_seq` when its state became CLOSE, without a FIN.
    pub written_to: u32,
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
        enqueued_ns: 0,
        established_ns: 0,
        accepted_ns: 0,
        first_data_ns: 0,
        first_read_ns: 0,
        first_write_ns: 0,
        closed_ns: 0,
        destroyed_ns: 0,
        unread_since_ns: 0,
        read_unanswered_ns: 0,
        longest_read_wait_ns: 0,
        spell_ns: 0,
        held_ns: 0,
        bytes_read: 0,
        bytes_written: 0,
        reads: 0,
        writes: 0,
        syn_wait_us: 0,
        queue_at_arrival: 0,
        held_writes: 0,
        held_to: 0,
        read_from: 0,
        written_from: 0,
        read_to: 0,
        written_to: 0,
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

plain!(Connection = 2 * 4 + 16 * 8 + 12 * 4 + COMM + 8 * NAMED_THREADS + 32 + 3 * 2 + 2);
