//! Signal: Nagle held a write back. A segment that is not full is not sent while one that was not full is on its way
//! (`tcp_nagle_test`, `tcp_minshall_check`), so the second write of a response waits for the peer's ACK, and a peer that
//! has nothing to say delays that by 40 ms.
//!
//! After a write the socket tells whether its bytes are held. That is counted when the peer sends data or its FIN and the
//! bytes have gone by then: then an ACK has released them. What close(2), TCP_NODELAY or a write more sends at once is not
//! counted. `tcp_wstamp_ns` is when the socket sent last, which is how long they were held.

use observer_ebpf::record::Connection;

use crate::{
    books::{add, add32},
    constants::{self as at, exists},
    kernel::Address,
    maps::LISTENERS,
};

/// An ACK is delayed by TCP_DELACK_MIN, 40 ms, and up to a tick or two more.
const DELAYED_ACK_NS: core::ops::Range<u64> = 36_000_000..52_000_000;
/// `nonagle` has four bits, the lowest of its byte.
const NONAGLE: u8 = 0x0f;

/// Whether this kernel has all that is read here.
#[inline(always)]
fn is_readable() -> bool {
    exists(&at::TCP_PACKETS_OUT)
        && exists(&at::TCP_NONAGLE)
        && exists(&at::TCP_SND_NXT)
        && exists(&at::TCP_SND_SML)
        && exists(&at::TCP_SND_CWND)
        && exists(&at::TCP_MSS_CACHE)
        && exists(&at::TCP_PUSHED_SEQ)
        && exists(&at::TCP_WSTAMP_NS)
        && exists(&at::TCP_SND_UNA)
        && exists(&at::TCP_SND_WND)
}

/// A write has returned.
#[inline(always)]
pub(crate) unsafe fn note(connection: *mut Connection, sock: Address, now: u64) {
    if !is_readable() {
        return;
    }
    // Most writes find nothing on its way, or a socket with TCP_NODELAY: one or two reads.
    let held = match sock.read_or_zero::<u32>(&at::TCP_PACKETS_OUT) {
        0 => None,
        out => held_to(sock, out),
    };
    unsafe {
        (*connection).held_ns = if held.is_some() { now } else { 0 };
        (*connection).held_to = held.unwrap_or(0);
    }
}

/// How far the program has written, if Nagle alone holds the last of it.
#[inline(always)]
fn held_to(sock: Address, packets_out: u32) -> Option<u32> {
    if sock.read_or_zero::<u8>(&at::TCP_NONAGLE) & NONAGLE != 0 {
        return None;
    }
    let written: u32 = sock.read_or_zero(&at::TCP_WRITE_SEQ);
    let sent: u32 = sock.read_or_zero(&at::TCP_SND_NXT);
    let queued = written.wrapping_sub(sent);
    if queued == 0 || queued >= sock.read_or_zero::<u32>(&at::TCP_MSS_CACHE) {
        return None;
    }
    let acknowledged: u32 = sock.read_or_zero(&at::TCP_SND_UNA);
    let small: u32 = sock.read_or_zero(&at::TCP_SND_SML);
    let small_is_out = is_after(small, acknowledged) && !is_after(small, sent);
    let window_end = acknowledged.wrapping_add(sock.read_or_zero::<u32>(&at::TCP_SND_WND));
    let may_send =
        !is_after(written, window_end) && packets_out < sock.read_or_zero::<u32>(&at::TCP_SND_CWND);
    // The program asked for it with MSG_MORE (`tcp_mark_push` is left out then).
    let is_whole = sock.read_or_zero::<u32>(&at::TCP_PUSHED_SEQ) == written;
    (small_is_out && may_send && is_whole).then_some(written)
}

#[inline(always)]
fn is_after(one: u32, other: u32) -> bool {
    one.wrapping_sub(other) as i32 > 0
}

/// The peer has sent something: if what was held has gone, an ACK has released it.
#[inline(always)]
pub(crate) unsafe fn answered(connection: *mut Connection, sock: Address) {
    unsafe {
        let held_ns = (*connection).held_ns;
        if held_ns == 0 || is_after((*connection).held_to, sock.read_or_zero(&at::TCP_SND_NXT)) {
            return;
        }
        (*connection).held_ns = 0;
        add32(&raw mut (*connection).held_writes, 1);
        if let Some(entry) = LISTENERS.get_ptr_mut((*connection).listener) {
            let lasted = sock.read_or_zero::<u64>(&at::TCP_WSTAMP_NS).saturating_sub(held_ns);
            add(&raw mut (*entry).writes.held, 1);
            add(&raw mut (*entry).writes.held_ns, lasted);
            if DELAYED_ACK_NS.contains(&lasted) {
                add(&raw mut (*entry).writes.held_as_delayed_ack, 1);
            }
        }
    }
}
