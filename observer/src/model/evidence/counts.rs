//! What is counted of one listener.

use crate::model::snapshot::{Listener, stage};

/// Totals of one listener, or what was counted in between two instants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::model) struct Counts {
    pub(in crate::model) enqueued: u64,
    pub(in crate::model) accepted: u64,
    /// Part of `accepted`: completed by an io_uring.
    pub(in crate::model) accepted_by_ring: u64,
    /// Refused for a full accept queue, at least.
    pub(in crate::model) overflows: u64,
    /// Reset by their client while queued.
    pub(in crate::model) aborted: u64,
    /// Came through a cookie.
    pub(in crate::model) cookies: u64,
    /// Read for the first time.
    pub(in crate::model) first_reads: u64,
    /// Within a request.
    pub(in crate::model) pauses: u64,
    /// Part of them.
    pub(in crate::model) pauses_as_delayed_ack: u64,
    /// Written, and held back by Nagle.
    pub(in crate::model) held_writes: u64,
    /// Part of them.
    pub(in crate::model) held_as_delayed_ack: u64,
    /// For how long, in all.
    pub(in crate::model) held_ns: u64,
    /// Closed or reset by their client after 200 ms or more in the queue.
    pub(in crate::model) gave_up: u64,
    /// Accepted connections that ended.
    pub(in crate::model) ended: u64,
    /// Part of them: closed by this side, unread.
    pub(in crate::model) closed_unread: u64,
    /// Part of them: by a process that was ending.
    pub(in crate::model) closed_unread_at_exit: u64,
    /// Destroyed in the queue.
    pub(in crate::model) discarded: u64,
}

impl Counts {
    pub(super) fn of(listener: &Listener) -> Self {
        Self {
            enqueued: listener.enqueued,
            accepted: listener.accepted,
            accepted_by_ring: listener.accepted_by_ring,
            overflows: listener.overflows_between.0,
            aborted: listener.aborted_queued,
            cookies: listener.cookies,
            first_reads: listener.stages[stage::ACCEPT_TO_READ].total(),
            pauses: listener.pauses,
            pauses_as_delayed_ack: listener.pauses_as_delayed_ack,
            held_writes: listener.held_writes.unwrap_or(0),
            held_as_delayed_ack: listener.held_writes_as_delayed_ack.unwrap_or(0),
            held_ns: listener.held_writes_ns.unwrap_or(0),
            gave_up: listener.gave_up,
            ended: listener.ended_by.accepted(),
            closed_unread: listener.closed_unread,
            closed_unread_at_exit: listener.closed_unread_at_exit,
            discarded: listener.dropped_queued,
        }
    }

    pub(super) fn with(self, other: Self, join: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            enqueued: join(self.enqueued, other.enqueued),
            accepted: join(self.accepted, other.accepted),
            accepted_by_ring: join(self.accepted_by_ring, other.accepted_by_ring),
            overflows: join(self.overflows, other.overflows),
            aborted: join(self.aborted, other.aborted),
            cookies: join(self.cookies, other.cookies),
            first_reads: join(self.first_reads, other.first_reads),
            pauses: join(self.pauses, other.pauses),
            pauses_as_delayed_ack: join(self.pauses_as_delayed_ack, other.pauses_as_delayed_ack),
            held_writes: join(self.held_writes, other.held_writes),
            held_as_delayed_ack: join(self.held_as_delayed_ack, other.held_as_delayed_ack),
            held_ns: join(self.held_ns, other.held_ns),
            gave_up: join(self.gave_up, other.gave_up),
            ended: join(self.ended, other.ended),
            closed_unread: join(self.closed_unread, other.closed_unread),
            closed_unread_at_exit: join(self.closed_unread_at_exit, other.closed_unread_at_exit),
            discarded: join(self.discarded, other.discarded),
        }
    }
}
