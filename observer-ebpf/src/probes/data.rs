//! Signal: data for the program is in a connection's receive queue.
//!
//! `tcp_data_ready` also tells of a FIN, which is no data.

use observer_ebpf::record::{Connection, flag};

use super::{followed, held};
use crate::{
    books::{add, add_signed, now, set_bits},
    constants as at,
    copies::{self, Turn, event},
    kernel::{TCP_ESTABLISHED, Typed, fin_arrived},
    maps::{ARRIVAL, LISTENERS},
};

/// `sk_data_ready` of a connection.
#[inline(always)]
pub(crate) fn queued(sock: Typed, state: i32, turn: Turn) {
    let key = sock.0 as u64;
    if !copies::mark_at(event::DATA, key, &at::TCP_RCV_NXT, turn) {
        return;
    }
    // Data that came with the handshake's last ACK is announced before the listener's own turn.
    if let Some(arrival) = ARRIVAL.get_ptr_mut(0)
        && unsafe { (*arrival).sock } == key
    {
        let time = unsafe { (*arrival).connection.established_ns };
        unsafe { note(&raw mut (*arrival).connection, time) };
        return;
    }
    if let Some(connection) = followed::record(sock.address()) {
        if (turn == Turn::Again || state != TCP_ESTABLISHED) && !more_than_fin(sock) {
            return;
        }
        unsafe {
            if state == TCP_ESTABLISHED {
                held::answered(connection, sock.address());
            }
            note(connection, now());
        }
    }
}

/// Whether bytes are waiting beside the FIN, which takes a sequence number.
#[inline(always)]
fn more_than_fin(sock: Typed) -> bool {
    let sock = sock.address();
    let waiting = || {
        let fin: u32 = fin_arrived(sock)?.into();
        Some(sock.read::<u32>(&at::TCP_RCV_NXT)?.wrapping_sub(sock.read(&at::TCP_COPIED_SEQ)?) > fin)
    };
    waiting().unwrap_or(true)
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
