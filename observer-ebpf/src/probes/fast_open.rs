//! Signal: a TCP Fast Open connection enters the accept queue, before its handshake is complete.
//!
//! `tcp_conn_request` makes the child at the SYN, queues it (`inet_csk_reqsk_queue_add`) and calls the listener's
//! `sk_data_ready` at once. The child's state becomes ESTABLISHED later, and nothing follows that. So there is no
//! child in this processor's slot; the request at the queue's tail names it.

use observer_ebpf::{
    loss,
    record::{flag, via},
};

use super::{
    accept_late::{follow, unseen},
    followed,
};
use crate::{
    books::{lost, now},
    constants as at,
    kernel::{Address, TCP_SYN_RECV, Typed, is_internet},
    maps::FAST_OPEN_SEEN,
};

/// The listener was told of a connection that was not established just before, and is not established yet; `false` if
/// it is none of this kind.
#[inline(always)]
pub(crate) fn enqueued(child: Address, cookie: u64, depth: u32) -> bool {
    let Some(family) = child.read::<u16>(&at::SKC_FAMILY).filter(|family| is_internet(*family)) else {
        return false;
    };
    if child.read::<u8>(&at::SKC_STATE).map(i32::from) != Some(TCP_SYN_RECV) {
        return false;
    }
    let now = now();
    let mut record = unseen(child, cookie, family);
    record.flags = 0;
    record.via = via::FAST_OPEN;
    record.enqueued_ns = now;
    record.queue_at_arrival = depth;
    // Data that came with the SYN was queued without a word (tcp_fastopen_add_skb).
    if child.read::<u32>(&at::TCP_RCV_NXT).is_some_and(|next| next != record.read_from) {
        record.flags = flag::DATA;
        record.first_data_ns = now;
        record.unread_since_ns = now;
    }
    if let Some(seen) = FAST_OPEN_SEEN.get_ptr_mut(0) {
        unsafe { *seen = 1 };
    }
    if follow(child, &record).is_none() {
        lost(loss::CONNECTIONS_FULL);
    }
    true
}

/// Whether there has been any of this kind on this host.
#[inline(always)]
pub(crate) fn seen() -> bool {
    FAST_OPEN_SEEN.get_ptr(0).is_some_and(|seen| unsafe { *seen } != 0)
}

/// SYN_RECV → ESTABLISHED of a connection that is queued already; `false` if it is not.
#[inline(always)]
pub(crate) fn established(sock: Typed) -> bool {
    let Some(connection) = followed::record(sock.address()) else { return false };
    // A copy may come after.
    if unsafe { (*connection).established_ns } == 0 {
        unsafe { (*connection).established_ns = now() };
    }
    true
}
