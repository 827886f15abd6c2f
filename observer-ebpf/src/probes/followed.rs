//! The record of a followed connection, looked up by the address of its socket.
//!
//! A socket's memory is given to the next one at once. If the end of a connection was shown to no program, its record is
//! still there, and whatever the next socket at its address does would be counted into it. That one has another peer.

use observer_ebpf::{
    loss,
    record::{Connection, flag},
};

use crate::{
    books::{add_signed, lost},
    constants as at,
    kernel::Address,
    maps::{CONNECTIONS, LISTENERS},
};

/// The record of this socket, if it is followed.
#[inline(always)]
pub(crate) fn record(sock: Address) -> Option<*mut Connection> {
    let connection = CONNECTIONS.get_ptr_mut(sock.0)?;
    // connect(2) with AF_UNSPEC takes the peer away; then there is nothing to tell by.
    let port = sock.read::<u16>(&at::SKC_DPORT).map_or(0, u16::from_be);
    if port != 0 && port != unsafe { (*connection).remote_port } {
        unsafe { forget(connection) };
        let _ = CONNECTIONS.remove(sock.0);
        return None;
    }
    Some(connection)
}

/// Counts that the end of a connection was missed.
#[inline(always)]
pub(crate) unsafe fn forget(connection: *const Connection) {
    lost(loss::END_MISSED);
    let (listener, flags) = unsafe { ((*connection).listener, (*connection).flags) };
    if flag::is_unread(flags)
        && let Some(entry) = LISTENERS.get_ptr_mut(listener)
    {
        unsafe { add_signed(&raw mut (*entry).counters.unread, -1) };
    }
}
