//! One listener, as outputs show it.

use std::sync::Arc;

use serde::Serialize;

use super::{Acceptors, stage};
use crate::{
    figures,
    model::{
        drops::Drop,
        histogram::{Histogram, Quantiles},
        peaks::Peaks,
    },
};

/// How a listener is, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// No connection arrived in the last second, and nothing happened on those that are open.
    #[default]
    Idle,
    /// Connections are accepted about as fast as they arrive.
    Healthy,
    /// The accept queue holds more than half of its limit.
    Filling,
    /// Connections wait for a second or longer until they are accepted, however much room there is.
    Waiting,
    /// 8 or more accepted connections have had data for a second, and more than are begun to be read in 100 ms.
    Unread,
    /// Half or more of the connections that ended in the last second were accepted and closed unread by this side.
    TurningAway,
    /// The accept queue is full; nothing was refused in the last second.
    Saturated,
    /// Connections have waited for a second, and none was accepted in it.
    Stranded,
    /// Connections were refused in the last second.
    Overflowing,
}

/// Whether so many accepted connections with data that nobody has read are more than are always under way, where so many are
/// begun to be read in a second.
pub(in crate::model) fn are_left_unread(unread: u64, begun: f64) -> bool {
    /// Fewer are always under way somewhere.
    const MANY: u64 = 8;
    /// What readers take up in this part of a second is under way, not waiting.
    const UNDER_WAY_S: f64 = 0.1;
    unread >= MANY && unread as f64 > begun * UNDER_WAY_S
}

/// How connections of a listener ended, as [`End`](super::End) has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct EndedBy {
    /// In order, and the client's FIN came first.
    pub fin_peer: u64,
    /// In order, and this side's FIN came first.
    pub fin_own: u64,
    /// Reset by the client.
    pub rst_in: u64,
    /// Reset by this side.
    pub rst_out: u64,
    /// The kernel gave up on a silent client.
    pub timeout: u64,
    /// Destroyed in the accept queue.
    pub queued_reset: u64,
    /// Nothing tells.
    pub unknown: u64,
}

impl EndedBy {
    /// All that had been accepted.
    pub fn accepted(&self) -> u64 {
        self.fin_peer + self.fin_own + self.rst_in + self.rst_out + self.timeout + self.unknown
    }
}

/// Events per second, over about the last second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Rates {
    /// Connections that entered the accept queue.
    pub enqueued: f64,
    /// Connections that were accepted.
    pub accepted: f64,
    /// Connections that were refused.
    pub dropped: f64,
    /// Reads that data had waited for.
    pub reads: f64,
    /// Handshakes that their client reset before they were complete, where the counters of the listener and of its
    /// network namespace agree; otherwise 0.
    pub reset_early: f64,
}

/// How accepts follow each other where somebody always waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pace {
    /// The longest time between the last of them.
    pub apart_ns: u64,
    /// The instant after which another is overdue: twice as long after the last.
    pub due_ns: u64,
    /// Most that were accepted at a time.
    pub at_a_time: u64,
}

/// One listening socket, one shard of a group; the `listener` line.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Listener {
    /// Socket cookie, never reused; what `SO_COOKIE` and `ss -e` (sk:) show.
    pub cookie: u64,
    /// Address, interface and port it is bound to, as `ss` prints them.
    pub addr: String,
    /// Name of the interface that it is bound to (SO_BINDTODEVICE), or `if` and its index where the name is not known; null
    /// for any.
    pub device: Option<String>,
    /// Port alone.
    pub port: u16,
    /// Inode number of its network namespace.
    pub netns: u32,
    /// Process that listens.
    pub pid: u32,
    /// Its name.
    pub comm: String,
    /// Set when the kernel deals connections out among several sockets that listen here (SO_REUSEPORT): the name they share.
    pub group: Option<String>,
    /// Number within the group, from 1, in order of opening; it stays while the socket lives.
    pub shard: Option<u32>,
    /// The observer was there when it opened.
    pub opened_ns: Option<u64>,
    /// It is closed: this is its last line, or it was shut down and its socket is still there.
    pub closed_ns: Option<u64>,
    /// How it is, in a word.
    pub state: State,
    /// `sk_max_ack_backlog`; the accept queue is full at this + 1.
    pub backlog_limit: u32,
    /// `net.core.somaxconn` of its network namespace, to which listen(2) cuts a backlog; null when unknown.
    pub somaxconn: Option<u32>,
    /// Connections in the accept queue now.
    pub accept_queue: u32,
    /// Request sockets in the SYN queue now (a sample).
    pub syn_queue: u32,
    /// Those of them whose SYN-ACK was not sent again (a sample).
    pub syn_queue_young: u32,
    /// Part of `syn_queue`, at most: clients that connected and sent nothing yet. Null without TCP_DEFER_ACCEPT.
    pub deferred: Option<u32>,
    /// Connections that entered the accept queue.
    pub enqueued: u64,
    /// Connections accepted.
    pub accepted: u64,
    /// Part of `accepted` that went by a path which no probe sees.
    pub accepted_unseen: u64,
    /// Part of `accepted` that an io_uring completed; 0 where the hook does not show it.
    pub accepted_by_ring: u64,
    /// Connections destroyed in the accept queue.
    pub dropped_queued: u64,
    /// Connections that their peer reset while they waited in the accept queue; accept(2) returns them all the same.
    pub aborted_queued: u64,
    /// Part of `enqueued`: they came from the queue of a shard that closed.
    pub migrated: u64,
    /// Moved from its queue to another shard's when it closed.
    pub migrated_away: u64,
    /// SYNs that entered the SYN queue; 0 where the signal `request` is unavailable.
    pub requests: u64,
    /// Connections in the accept queue when watching began; they are not part of `enqueued`.
    pub queued_at_start: u32,
    /// Handshakes or SYNs refused because the accept queue was full. Null when this kernel cannot tell them from
    /// other refusals; `overflows_between` then says what is known.
    pub overflows: Option<u64>,
    /// Least and most that `overflows` can be.
    pub overflows_between: (u64, u64),
    /// Everything refused, whatever the cause.
    pub listen_drops: u64,
    /// The kernel's own counter of the socket: refusals, a refused last ACK twice, and segments that were discarded
    /// for requests that wait, such as repeated SYNs.
    pub sk_drops: u64,
    /// Refusals by cause.
    #[serde(skip)]
    pub drops: Vec<Drop>,
    /// Connections that came through a SYN cookie.
    pub cookies: u64,
    /// SYNs that were answered with a cookie; null where that is known of the network namespace alone.
    pub cookies_sent: Option<u64>,
    /// ACKs that were no valid cookie; null where that is known of the network namespace alone.
    pub cookies_failed: Option<u64>,
    /// SYN-ACKs sent again.
    pub synack_retransmits: u64,
    /// Accepted connections with data waiting that were never read, now.
    pub unread: u64,
    /// Times that the rest of a request came 5 ms or more after its beginning was read.
    pub pauses: u64,
    /// Those of them that lasted 36 to 52 ms, about as long as an ACK is delayed.
    pub pauses_as_delayed_ack: u64,
    /// Writes that Nagle held back until the peer acknowledged what went before; null where the signal `held_write` is
    /// unavailable.
    pub held_writes: Option<u64>,
    /// Those of them that were held for 36 to 52 ms, about as long as an ACK is delayed; null likewise.
    pub held_writes_as_delayed_ack: Option<u64>,
    /// How long they were held in all; null likewise.
    pub held_writes_ns: Option<u64>,
    /// Connections whose peer's window is closed while data waits for it, now; null when no hook tells.
    pub closed_windows: Option<u64>,
    /// Bytes in the send queues of those connections; null when no hook tells.
    pub closed_window_bytes: Option<u64>,
    /// The peer of one of them has taken nothing since, at least; null when there is none.
    pub closed_window_since_ns: Option<u64>,
    /// Followed connections that have ended.
    pub ended: u64,
    /// How they ended, and who ended them.
    pub ended_by: EndedBy,
    /// Accepted, and closed by this side first without a read, although data had come or without a write either.
    pub closed_unread: u64,
    /// Part of them: by a process that was ending.
    pub closed_unread_at_exit: u64,
    /// Closed in order (FIN) by their client while they waited in the accept queue.
    pub closed_queued: u64,
    /// Closed or reset by their client after they had waited in the accept queue for 200 ms or longer.
    pub gave_up: u64,
    /// The head of the accept queue has waited for this long, at least; null when nobody waits.
    pub oldest_waits_ns: Option<u64>,
    /// The limit before it last changed; null when it has not since it is watched.
    pub backlog_before: Option<u32>,
    /// When a sample first showed the limit that it has now; null likewise.
    pub backlog_changed_ns: Option<u64>,
    /// Who accepts from it, and who holds it.
    #[serde(flatten)]
    pub acceptors: Acceptors,
    /// Followed connections whose end was shown to no probe: their sockets were found to be gone.
    pub end_unseen: u64,
    /// Accept-queue wait, since start.
    pub accept_wait_ns: Quantiles,
    /// Accept to first write, of connections to which this side spoke before it had read anything, since start.
    pub accept_to_write_ns: Quantiles,
    /// Events per second.
    pub rates: Rates,
    /// Connections that have come since the last accept, at least.
    #[serde(skip)]
    pub came_since_accept: u64,
    /// How far apart the last accepts were, if somebody waited all the time.
    #[serde(skip)]
    pub pace: Option<Pace>,
    /// A connection of it was written to in the last second.
    #[serde(skip)]
    pub written: bool,
    /// All stages since start, indexed by [`stage`].
    #[serde(skip)]
    pub stages: Arc<[Histogram; stage::STAGES]>,
    /// Most connections in the accept queue, by time; exact, not sampled.
    #[serde(skip)]
    pub peaks: Peaks,
    /// Half of the connections accepted in the last second or two had waited as long in the accept queue; none if there
    /// were none.
    #[serde(skip)]
    pub recent_wait_ns: Option<u64>,
}

/// Holders that a sentence names.
const NAMED: usize = 3;

impl Listener {
    /// Connections that are accepted and have not ended, as far as they are known.
    pub fn open(&self) -> u64 {
        self.accepted.saturating_sub(self.ended_by.accepted())
    }

    /// Who holds it, as far as it was looked up; otherwise who made it.
    pub fn holder(&self) -> String {
        let Some(holders) = self.acceptors.holders.as_deref().filter(|holders| !holders.is_empty()) else {
            return format!("{}/{}", self.comm, self.pid);
        };
        let names: Vec<String> =
            holders.iter().take(NAMED).map(|holder| format!("{}/{}", holder.comm, holder.pid)).collect();
        match holders.len() - names.len() {
            0 => figures::listed(&names),
            1 => format!("{} and 1 more process", names.join(", ")),
            more => format!("{} and {more} more processes", names.join(", ")),
        }
    }
}
