//! Signal: bytes have left a connection's receive queue that no read was seen to take. Somebody took them by a path
//! that the hooks of `read` do not pass: splice, sendfile, TCP_ZEROCOPY_RECEIVE. That it was read is certain; when, and
//! by whom, is not known.
//!
//! It is looked for where it costs little: before the first write, after a long wait, and at the end.

use observer_ebpf::record::{Connection, flag};

use crate::{
    books::{add_signed, set_bits},
    constants::{self as at, exists},
    kernel::Address,
    maps::LISTENERS,
};

/// Bytes that were taken out of the receive queue: what was received less what is still there. A FIN counts in both;
/// once taken (`tcp_recvmsg_locked` and `tcp_read_sock` step over it) it counts as a byte.
#[inline(always)]
pub(crate) fn taken(sock: Address) -> Option<u64> {
    if !(exists(&at::TCP_BYTES_RECEIVED) && exists(&at::TCP_RCV_NXT) && exists(&at::TCP_COPIED_SEQ)) {
        return None;
    }
    // In this order: what arrives in between, for the socket is not locked, then only makes it less.
    let received = sock.read::<u64>(&at::TCP_BYTES_RECEIVED)?;
    let waiting = sock.read::<u32>(&at::TCP_RCV_NXT)?.wrapping_sub(sock.read(&at::TCP_COPIED_SEQ)?);
    Some(received.wrapping_sub(u64::from(waiting)))
}

/// More than reads have brought, if so. One byte more may be the FIN. `None` also where another layer takes them first
/// and deals them out later (kTLS and MPTCP, which hang on to `icsk_ulp_ops`).
#[inline(always)]
pub(crate) fn more_than(sock: Address, bytes_read: u64) -> Option<u64> {
    if !exists(&at::ICSK_ULP_OPS) || sock.read::<u64>(&at::ICSK_ULP_OPS)? != 0 {
        return None;
    }
    taken(sock).filter(|taken| taken.wrapping_sub(bytes_read) as i64 > 1)
}

/// Marks what was read unseen, and counts it as read. `sock` is the connection's own socket.
#[inline(always)]
pub(crate) unsafe fn note(connection: *mut Connection, sock: Address) {
    unsafe {
        // Bytes from before the start were not counted.
        if (*connection).flags & (flag::DATA | flag::HELD) != flag::DATA {
            return;
        }
        let Some(taken) = more_than(sock, (*connection).bytes_read) else { return };
        (*connection).bytes_read = taken;
        let before = set_bits(&raw mut (*connection).flags, flag::READ | flag::READ_UNSEEN);
        if flag::is_unread(before)
            && let Some(entry) = LISTENERS.get_ptr_mut((*connection).listener)
        {
            add_signed(&raw mut (*entry).counters.unread, -1);
        }
    }
}
