//! The records of a listener: what it is, what happened to its connections, and a sample of its queues.

use super::{COMM, plain, stage};
use crate::histogram::BUCKETS;

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
    /// Interface that it is bound to (`sk_bound_dev_if`) when it was found; 0 if none.
    pub device: u32,
    /// Unused; keeps the size a multiple of eight.
    pub reserved: u32,
}

/// What happened to a listener's connections since the observer began to watch it.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ListenerCounters {
    /// Connections that entered the accept queue; one whose arrival no probe saw, from its accept on.
    pub enqueued: u64,
    /// Connections that left it through accept, arrivals of before the start included.
    pub accepted: u64,
    /// Part of `accepted`: by a path that no probe sees, so without time or acceptor.
    pub accepted_unseen: u64,
    /// Part of `accepted`: completed by an io_uring, where a hook shows it.
    pub accepted_by_ring: u64,
    /// Connections destroyed in the queue, never accepted.
    pub dropped_queued: u64,
    /// Connections that came through a SYN cookie.
    pub cookies: u64,
    /// SYNs that were answered with a cookie, if a hook counts them.
    pub cookies_sent: u64,
    /// ACKs that were no valid cookie, if a hook counts them.
    pub cookies_failed: u64,
    /// SYN-ACKs sent again.
    pub synack_retransmits: u64,
    /// Followed connections whose socket is destroyed.
    pub ended: u64,
    /// Followed connections whose socket was found to be gone, and whose end no program was shown.
    pub end_unseen: u64,
    /// Connections that their peer reset while they waited in the queue; they keep their place, and are accepted.
    pub aborted_queued: u64,
    /// Part of `enqueued`: they came from the queue of a shard that closed (`net.ipv4.tcp_migrate_req`).
    pub migrated: u64,
    /// Connections that were moved from its queue to another shard's when it closed.
    pub moved_away: u64,
    /// SYNs that got a request socket, and so entered the SYN queue.
    pub requests: u64,
    /// SYNs refused because the accept queue was full.
    pub refused_syn: u64,
    /// Last ACKs of a handshake refused because the accept queue was full.
    pub refused_ack: u64,
    /// SYNs refused because the SYN queue was full and cookies are off.
    pub refused_syn_queue: u64,
    /// Segments that raised `sk_drops` when they were discarded, and refused nobody, as a repeated SYN or a stray RST.
    pub discarded: u64,
    /// Segments discarded for other reasons, of which it is not known whether they raised `sk_drops`.
    pub discarded_other: u64,
    /// Data that came 5 ms or more after a read, with no write in between: the request was not whole.
    pub pauses: u64,
    /// Those of them that lasted as long as the kernel delays an ACK, about 40 ms.
    pub pauses_as_delayed_ack: u64,
    /// Accepted, data waiting, never read, now. Signed, because its two halves are counted on different processors.
    pub unread: i64,
    /// Depth of the accept queue when watching began.
    pub queued_at_start: u32,
    /// `sk_drops` when watching began.
    pub drops_at_start: u32,
    /// Deepest accept queue since the last sample.
    pub peak: u32,
    /// Connections in `enqueued` or `queued_at_start` that have no record and were not accepted so far.
    pub unrecorded: u32,
}

impl ListenerCounters {
    /// One to which nothing happened yet.
    pub const BLANK: Self = Self {
        enqueued: 0,
        accepted: 0,
        accepted_unseen: 0,
        accepted_by_ring: 0,
        dropped_queued: 0,
        cookies: 0,
        cookies_sent: 0,
        cookies_failed: 0,
        synack_retransmits: 0,
        ended: 0,
        end_unseen: 0,
        aborted_queued: 0,
        migrated: 0,
        moved_away: 0,
        requests: 0,
        refused_syn: 0,
        refused_ack: 0,
        refused_syn_queue: 0,
        discarded: 0,
        discarded_other: 0,
        pauses: 0,
        pauses_as_delayed_ack: 0,
        unread: 0,
        queued_at_start: 0,
        drops_at_start: 0,
        peak: 0,
        unrecorded: 0,
    };
}

/// How a listener's followed connections ended, and which left before they were accepted.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Endings {
    /// In order, and the peer's FIN came first.
    pub fin_peer: u64,
    /// In order, and this side's FIN came first.
    pub fin_own: u64,
    /// Reset by the peer.
    pub reset_peer: u64,
    /// Reset by this side.
    pub reset_own: u64,
    /// The kernel gave up on a silent peer.
    pub timeout: u64,
    /// Destroyed in the accept queue.
    pub queued_reset: u64,
    /// Nothing tells.
    pub unknown: u64,
    /// Accepted, and closed by this side first without a read, although data had come or without a write either.
    pub closed_unread: u64,
    /// Part of them: by a process that was ending.
    pub closed_unread_at_exit: u64,
    /// Peers that closed in order (FIN) while their connection waited in the accept queue.
    pub closed_queued: u64,
    /// Peers that closed or reset a connection that had waited in the accept queue for [`PATIENCE_NS`] or longer.
    pub gave_up: u64,
}

impl Endings {
    /// Closed unread by a process that went on.
    pub fn turned_away(&self) -> u64 {
        self.closed_unread.saturating_sub(self.closed_unread_at_exit)
    }
}

/// A peer that leaves the queue sooner did not leave because it waited: a probe, or the loser of two connections.
pub const PATIENCE_NS: u64 = 200_000_000;

/// Who closes a connection later than that after it was accepted, and no byte has come on it, has waited for its client.
pub const TURNED_AWAY_NS: u64 = 1_000_000_000;

/// Writes on a listener's connections.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Writes {
    /// Times that a connection was written to, those within 200 ms of one another on the same connection once.
    pub spells: u64,
    /// Writes that Nagle held back until the peer acknowledged what went before.
    pub held: u64,
    /// Those of them that were held for as long as the kernel delays an ACK, about 40 ms.
    pub held_as_delayed_ack: u64,
    /// How long they were held, nanoseconds in all.
    pub held_ns: u64,
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
    /// How its connections ended.
    pub endings: Endings,
    /// Writes, as far as they are counted by listener.
    pub writes: Writes,
}

/// The process that holds a listener which is not watched. Value of the map of those left out, keyed by cookie.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct LeftOut {
    /// Process that called listen(2), or that holds the socket.
    pub pid: u32,
    /// Name of that thread or process.
    pub comm: [u8; COMM],
}

/// A notice about a listener; the entry itself is in the map.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ListenerEvent {
    /// [`kind::LISTENER_OPENED`](super::kind::LISTENER_OPENED) or [`kind::LISTENER_CLOSED`](super::kind::LISTENER_CLOSED).
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
    /// [`kind::SAMPLE`](super::kind::SAMPLE).
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
    /// `net.core.somaxconn` of its network namespace; 0 when it cannot be read.
    pub somaxconn: u32,
    /// `sk_bound_dev_if`: interface that it is bound to; 0 if none.
    pub device: u32,
    /// 1 if handshakes wait for data here (TCP_DEFER_ACCEPT), 0 if not or if it cannot be read.
    pub deferring: u32,
    /// Unused; keeps the size a multiple of eight.
    pub reserved: u32,
    /// `sk_reuseport_cb`: the kernel's group that it is in, as an address; 0 if none. listen(2) sets it after the listener's
    /// opening was seen (`inet_reuseport_add_sock`), and `reuseport_grow` moves the whole group.
    pub reuseport: u64,
    /// Counters at the same instant.
    pub counters: ListenerCounters,
}

plain!(ListenerIdentity = 4 * 8 + 3 * 4 + 2 * 2 + 16 + COMM + 2 * 4);
plain!(ListenerCounters = 23 * 8 + 4 * 4);
plain!(Endings = 11 * 8);
plain!(Writes = 4 * 8);
plain!(
    ListenerEntry = size_of::<ListenerIdentity>()
        + size_of::<ListenerCounters>()
        + stage::STAGES * (8 + 4 * BUCKETS)
        + size_of::<Endings>()
        + size_of::<Writes>()
);
plain!(LeftOut = 4 + COMM);
plain!(ListenerEvent = 2 * 4 + 2 * 8);
plain!(Sample = 2 * 4 + 2 * 8 + 10 * 4 + 8 + size_of::<ListenerCounters>());
