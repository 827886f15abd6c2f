//! How a listener's connections end and who ends them, and which peers leave before they are accepted. Part of the
//! signals `close` and `reset`.

use observer_ebpf::record::{Connection, ListenerEntry, PATIENCE_NS, TURNED_AWAY_NS, flag};

use super::{accept_unseen, followed, held};
use crate::{
    books::{add, add_signed, now, set_bits},
    kernel::{Typed, is_exiting},
    maps::LISTENERS,
};

/// ESTABLISHED → CLOSE_WAIT: the peer's FIN came first.
#[inline(always)]
pub(crate) fn peer_closed(sock: Typed) {
    let Some(connection) = followed::record(sock.address()) else { return };
    unsafe {
        held::answered(connection, sock.address());
        let before = set_bits(&raw mut (*connection).flags, flag::PEER_CLOSED);
        // Once, though a copy of the program may come after.
        if before & (flag::PEER_CLOSED | flag::ACCEPTED | flag::ACCEPT_UNSEEN | flag::HELD) == 0
            && let Some(entry) = LISTENERS.get_ptr_mut((*connection).listener)
        {
            add(&raw mut (*entry).endings.closed_queued, 1);
            left_queue(entry, (*connection).enqueued_ns);
        }
    }
}

/// ESTABLISHED → FIN_WAIT1: this side closed first, whatever comes after.
#[inline(always)]
pub(crate) fn closed_here(sock: Typed) {
    if let Some(connection) = followed::record(sock.address()) {
        // close(2) or shutdown(2), in the context of who calls it.
        let by = if is_exiting() { flag::AT_EXIT } else { 0 };
        unsafe { set_bits(&raw mut (*connection).flags, flag::CLOSED_FIRST | by) };
    }
}

/// A peer closed or reset its connection, which has waited in the queue since then.
#[inline(always)]
pub(crate) unsafe fn left_queue(entry: *mut ListenerEntry, enqueued_ns: u64) {
    if enqueued_ns != 0 && now().saturating_sub(enqueued_ns) >= PATIENCE_NS {
        unsafe { add(&raw mut (*entry).endings.gave_up, 1) };
    }
}

/// A connection has ended: it is in no queue any more, and its end is counted.
#[inline(always)]
pub(crate) unsafe fn ended(connection: *mut Connection, entry: *mut ListenerEntry) {
    unsafe {
        let flags = (*connection).flags;
        if flags & flag::ACCEPTED == 0 && flags & flag::FIN != 0 {
            // In the queue it can only be reset: who closes it in order has accepted it, even if accept(2) failed in its
            // last step and closed it itself.
            accept_unseen::note(connection, entry, flags);
        } else if flags & flag::ACCEPTED == 0 {
            add(&raw mut (*entry).counters.dropped_queued, 1);
        } else if flag::is_unread(flags) {
            add_signed(&raw mut (*entry).counters.unread, -1);
        }
        let accepted_ns = (*connection).accepted_ns;
        let is_young = accepted_ns != 0 && now().saturating_sub(accepted_ns) < TURNED_AWAY_NS;
        count(entry, (*connection).flags, (*connection).writes, is_young);
    }
}

#[inline(always)]
unsafe fn count(entry: *mut ListenerEntry, flags: u32, writes: u32, is_young: bool) {
    let has = |bit: u32| flags & bit != 0;
    let endings = unsafe { &raw mut (*entry).endings };
    let accepted = has(flag::ACCEPTED) || has(flag::ACCEPT_UNSEEN);
    let count = unsafe {
        if !accepted {
            &raw mut (*endings).queued_reset
        } else if has(flag::TIMED_OUT) && !has(flag::RESET_IN) {
            &raw mut (*endings).timeout
        } else if has(flag::RESET_IN) && !has(flag::RESET_OUT) {
            &raw mut (*endings).reset_peer
        } else if has(flag::RESET_OUT) {
            &raw mut (*endings).reset_own
        } else if has(flag::FIN) && has(flag::CLOSED_FIRST) {
            &raw mut (*endings).fin_own
        } else if has(flag::FIN) {
            &raw mut (*endings).fin_peer
        } else {
            &raw mut (*endings).unknown
        }
    };
    unsafe { add(count, 1) };
    // A peer that left first is owed nothing, and who speaks may serve by that alone (daytime, an answer to whatever was
    // asked). A client that has long sent nothing has met a timeout.
    let left = has(flag::PEER_CLOSED) || has(flag::RESET_IN) && !has(flag::CLOSED_FIRST);
    let by_this_side = has(flag::RESET_OUT) || has(flag::CLOSED_FIRST);
    let unread = !has(flag::READ) && !has(flag::READ_UNSEEN);
    let unanswered = writes == 0 && !has(flag::WRITE_UNSEEN);
    let waited_for = has(flag::DATA) || has(flag::AT_EXIT) || is_young;
    if accepted && !left && by_this_side && unread && unanswered && waited_for {
        unsafe { add(&raw mut (*endings).closed_unread, 1) };
        if has(flag::AT_EXIT) {
            unsafe { add(&raw mut (*endings).closed_unread_at_exit, 1) };
        }
    }
}
