//! Signal: data for the program is in a connection's receive queue.
//!
//! `tcp_data_ready` also tells of a FIN, which is no data.

use observer_ebpf::record::{Connection, flag};

use super::followed;
use crate::{
    books::{add, add_signed, now, set_bits},
    constants as at,
    kernel::{TCP_CLOSE_WAIT, TCP_CLOSING, TCP_ESTABLISHED, TCP_LAST_ACK, Typed},
    maps::{ARRIVAL, LISTENERS},
};

/// `sk_data_ready` of a connection.
#[inline(always)]
pub(crate) fn queued(sock: Typed, state: i32) {
    let key = sock.0 as u64;
    // Data that came with the handshake's last ACK is announced before the listener's own turn.
    if let Some(arrival) = ARRIVAL.get_ptr_mut(0)
        && unsafe { (*arrival).sock } == key
    {
        let time = unsafe { (*arrival).connection.established_ns };
        unsafe { note(&raw mut (*arrival).connection, time) };
        return;
    }
    if let Some(connection) = followed::record(sock.address()) {
        if state != TCP_ESTABLISHED && !more_than_fin(sock, state, unsafe { (*connection).bytes_read }) {
            return;
        }
        unsafe { note(connection, now()) };
    }
}

/// Whether bytes are waiting beside the FIN, which takes a sequence number and so counts in `bytes_received`.
#[inline(always)]
fn more_than_fin(sock: Typed, state: i32, bytes_read: u64) -> bool {
    let fin = matches!(state, TCP_CLOSE_WAIT | TCP_LAST_ACK | TCP_CLOSING);
    match sock.address().read::<u64>(&at::TCP_BYTES_RECEIVED) {
        Some(received) => received > bytes_read + fin as u64,
        None => true,
    }
}

/// Shorter gaps within a request are those of a client that is busy.
const PAUSE_NS: u64 = 5_000_000;
/// An ACK is delayed by TCP_DELACK_MIN, 40 ms, and up to a tick or two more; the read that a pause is counted from came a
/// little later than the data.
const DELAYED_ACK_NS: core::ops::Range<u64> = 36_000_000..52_000_000;

/// The rest of a request came a while after its beginning was read.
#[inline(always)]
unsafe fn paused(connection: *mut Connection, time: u64) {
    unsafe {
        let read = (*connection).read_unanswered_ns;
        let pause = time.saturating_sub(read);
        if read != 0
            && pause >= PAUSE_NS
            && let Some(entry) = LISTENERS.get_ptr_mut((*connection).listener)
        {
            add(&raw mut (*entry).counters.pauses, 1);
            if DELAYED_ACK_NS.contains(&pause) {
                add(&raw mut (*entry).counters.pauses_as_delayed_ack, 1);
            }
        }
    }
}

#[inline(always)]
unsafe fn note(connection: *mut Connection, time: u64) {
    unsafe {
        if (*connection).unread_since_ns == 0 {
            (*connection).unread_since_ns = time;
            paused(connection, time);
        }
        if (*connection).flags & flag::DATA != 0 {
            return;
        }
        (*connection).first_data_ns = time;
        let before = set_bits(&raw mut (*connection).flags, flag::DATA);
        if before & (flag::DATA | flag::READ | flag::ACCEPTED) == flag::ACCEPTED
            && let Some(entry) = LISTENERS.get_ptr_mut((*connection).listener)
        {
            add_signed(&raw mut (*entry).counters.unread, 1);
        }
    }
}
