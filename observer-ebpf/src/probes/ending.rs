//! Signal: a connection's state became CLOSE. What it was before tells who closed first.

use observer_ebpf::record::flag;

use super::followed;
use crate::{
    books::{now, set_bits},
    constants as at,
    kernel::{ETIMEDOUT, TCP_CLOSING, TCP_FIN_WAIT2, TCP_LAST_ACK, Typed},
};

/// any state → CLOSE. LAST_ACK: the peer's FIN came first. FIN_WAIT2, CLOSING: ours went first and theirs followed
/// (`tcp_time_wait` hands the rest to another object and closes this one).
#[inline(always)]
pub(crate) fn closed(sock: Typed, old: i32) {
    let Some(connection) = followed::record(sock.address()) else { return };
    let mut bits = match old {
        TCP_LAST_ACK => flag::FIN,
        TCP_FIN_WAIT2 | TCP_CLOSING => flag::FIN | flag::CLOSED_FIRST,
        _ => 0,
    };
    if sock.load::<i32>(&at::SK_ERR) == ETIMEDOUT {
        bits |= flag::TIMED_OUT;
    }
    unsafe {
        (*connection).closed_ns = now();
        set_bits(&raw mut (*connection).flags, bits);
    }
}
