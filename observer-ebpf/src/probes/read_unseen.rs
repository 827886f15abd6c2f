//! Signal: bytes have left a connection's receive queue that no read was seen to take. Somebody took them by a path
//! that the hooks of `read` do not pass (splice, sendfile, TCP_ZEROCOPY_RECEIVE), or the program was skipped. That it was
//! read is certain; how often, when, and by whom, is not known.
//!
//! It is looked for where it costs little: before the first write, after a long wait, and at the end.

use observer_ebpf::record::{Connection, flag};

use crate::{
    books::{add_signed, set_bits},
    constants::{self as at, exists},
    kernel::{Address, fin_arrived},
    maps::LISTENERS,
};

/// How far the program has read: `copied_seq`, less the FIN if that is taken, as reads that return nothing do
/// (`tcp_recvmsg_locked` and `tcp_read_sock` step over it).
#[inline(always)]
pub(crate) fn read_to(sock: Address) -> Option<u32> {
    let copied: u32 = sock.read(&at::TCP_COPIED_SEQ)?;
    let fin = fin_arrived(sock)? && sock.read::<u32>(&at::TCP_RCV_NXT)? == copied;
    Some(copied.wrapping_sub(fin.into()))
}

/// Bytes between two sequence numbers beyond those that were counted; negative while one that was counted is of before
/// `from`.
#[inline(always)]
pub(crate) fn uncounted(from: u32, to: u32, counted: u64) -> i32 {
    to.wrapping_sub(from).wrapping_sub(counted as u32) as i32
}

/// Bytes beyond those that reads have brought, when the program has read this far.
#[inline(always)]
unsafe fn beyond(connection: *const Connection, read_to: u32) -> i32 {
    unsafe { uncounted((*connection).read_from, read_to, (*connection).bytes_read) }
}

/// Whether another layer takes the bytes first and deals them out later (kTLS and MPTCP, which hang on to
/// `icsk_ulp_ops`). Then the socket says nothing of what the program has read or written.
#[inline(always)]
pub(crate) fn is_layered(sock: Address) -> bool {
    !exists(&at::ICSK_ULP_OPS) || sock.read::<u64>(&at::ICSK_ULP_OPS).unwrap_or(1) != 0
}

/// Bytes that no read was seen to take; none if that cannot be told.
#[inline(always)]
pub(crate) unsafe fn missing(connection: *const Connection, sock: Address) -> Option<i32> {
    if !(exists(&at::TCP_RCV_NXT) && exists(&at::TCP_COPIED_SEQ)) {
        return None;
    }
    let copied: u32 = sock.read(&at::TCP_COPIED_SEQ)?;
    let at_most = unsafe { beyond(connection, copied) };
    if at_most <= 0 {
        // Nothing is missing, FIN or not.
        return Some(at_most);
    }
    if is_layered(sock) {
        return None;
    }
    Some(unsafe { beyond(connection, read_to(sock)?) })
}

/// Marks what was read unseen, and counts it as read. `sock` is the connection's own socket.
#[inline(always)]
pub(crate) unsafe fn note(connection: *mut Connection, sock: Address) {
    unsafe { settle(connection, missing(connection, sock).unwrap_or(0)) }
}

/// [`note`] of a socket that was disconnected, which moves `copied_seq`: it had read this far when its state became CLOSE.
#[inline(always)]
pub(crate) unsafe fn note_closed(connection: *mut Connection) {
    unsafe { settle(connection, beyond(connection, (*connection).read_to)) }
}

#[inline(always)]
unsafe fn settle(connection: *mut Connection, missing: i32) {
    if missing <= 0 {
        return;
    }
    unsafe {
        (*connection).bytes_read += u64::from(missing as u32);
        let before = set_bits(&raw mut (*connection).flags, flag::READ | flag::READ_UNSEEN);
        if flag::is_unread(before)
            && let Some(entry) = LISTENERS.get_ptr_mut((*connection).listener)
        {
            add_signed(&raw mut (*entry).counters.unread, -1);
        }
    }
}
