//! The record of a followed connection, looked up by the address of its socket.
//!
//! A socket's memory is given to the next one at once. If the end of a connection was shown to no program, its record is
//! still there, and whatever the next socket at its address does would be counted into it. That one has another peer.

use observer_ebpf::{loss, record::Connection};

use super::gone;
use crate::{
    books::{lost, send},
    constants as at,
    kernel::Address,
    maps::CONNECTIONS,
};

/// The record of this socket, if it is followed.
#[inline(always)]
pub(crate) fn record(sock: Address) -> Option<*mut Connection> {
    let connection = CONNECTIONS.get_ptr_mut(sock.0)?;
    if is_of_another(connection, sock) {
        gone::end(connection);
        let _ = CONNECTIONS.remove(sock.0);
        return None;
    }
    Some(connection)
}

/// Whether the socket at this address has another peer than the one that has this record.
#[inline(always)]
pub(crate) fn is_of_another(connection: *const Connection, sock: Address) -> bool {
    // connect(2) with AF_UNSPEC takes the peer away; then there is nothing to tell by.
    let port = u16::from_be(sock.read_or_zero(&at::SKC_DPORT));
    port != 0 && port != unsafe { (*connection).remote_port }
}

/// Sends the record of a connection that has ended. Its sequence numbers have served: they mean nothing to anybody, and are
/// dear to keep, because no number is like another.
#[inline(always)]
pub(crate) unsafe fn ended(connection: *mut Connection) {
    unsafe {
        // One by one: a call of memset takes 32 of the 512 bytes of stack that a program and all that it calls have
        // (MAX_BPF_STACK), and `accept` has none to spare.
        (&raw mut (*connection).held_to).write_volatile(0);
        (&raw mut (*connection).read_from).write_volatile(0);
        (&raw mut (*connection).written_from).write_volatile(0);
        (&raw mut (*connection).read_to).write_volatile(0);
        (&raw mut (*connection).written_to).write_volatile(0);
        lost(loss::PRODUCED);
        send(&*connection, loss::RING_CONNECTION);
    }
}
