//! Signal: a connection is accepted of which no record exists: it was queued before the observer started, or the map of
//! connections was full when it arrived, or no probe saw it arrive: a program that is running on a processor is not run
//! again by an interrupt there, and a kernel may have reasons of its own to run none.

use observer_ebpf::{
    loss,
    record::{Connection, ListenerEntry, flag, via},
};

use super::accept::From;
use crate::{
    books::{add, lost, take32},
    constants as at,
    kernel::{AF_INET6, Address, Typed, is_internet, local_address},
    maps::{CONNECTIONS, LISTENERS},
};

/// What is known of a connection whose arrival left no record.
pub(crate) enum Arrived {
    /// It has a record from now on.
    Followed(*mut Connection),
    /// It came out of this watched listener, and the map is full. That was counted as lost at its arrival.
    NoRoom(u64),
    /// Its listener is not watched, or not known.
    Unwatched,
}

/// Makes a record for it, if its listener is watched.
#[inline(always)]
pub(crate) fn arrived_before(task: Typed, sock: Address, from: From) -> Arrived {
    let Some(family) = sock.read::<u16>(&at::SKC_FAMILY).filter(|family| is_internet(*family)) else {
        return Arrived::Unwatched;
    };
    let Some(cookie) = from.watched(task) else { return Arrived::Unwatched };
    let mut record = unseen(sock, cookie, family);
    if record.local_port == 0
        && let Some(entry) = LISTENERS.get_ptr(cookie)
    {
        // It was reset in the queue, which takes its port away.
        record.local_port = unsafe { (*entry).identity.port };
        record.flags |= flag::RESET_IN;
    }
    match follow(sock, &record) {
        Some(connection) => Arrived::Followed(connection),
        None => Arrived::NoRoom(cookie),
    }
}

/// Settles that a connection without a record was accepted. Whatever is accepted has arrived: if its listener knows of
/// none that came without a record, its arrival was missed, and is counted now.
#[inline(always)]
pub(crate) unsafe fn account(entry: *mut ListenerEntry) {
    unsafe {
        if !take32(&raw mut (*entry).counters.unrecorded) {
            add(&raw mut (*entry).counters.enqueued, 1);
            lost(loss::ARRIVAL_MISSED);
        }
    }
}

/// A record of a connection of which nothing was seen; only its addresses are known.
#[inline(always)]
pub(crate) fn unseen(sock: Address, listener: u64, family: u16) -> Connection {
    let mut connection =
        Connection { flags: flag::ARRIVAL_UNSEEN, listener, via: via::UNSEEN, ..Connection::BLANK };
    identify(sock, family, &mut connection);
    connection
}

/// Whose a record is, and from where its reads and writes are counted.
#[inline(always)]
pub(crate) fn identify(sock: Address, family: u16, connection: &mut Connection) {
    let local = local_address(sock, family);
    let remote: [u32; 4] = if family == AF_INET6 {
        sock.read_or_zero(&at::SKC_V6_DADDR)
    } else {
        [sock.read_or_zero(&at::SKC_DADDR), 0, 0, 0]
    };
    connection.local_address = unsafe { core::mem::transmute::<[u32; 4], [u8; 16]>(local) };
    connection.remote_address = unsafe { core::mem::transmute::<[u32; 4], [u8; 16]>(remote) };
    connection.local_port = sock.read_or_zero(&at::SKC_NUM);
    connection.remote_port = u16::from_be(sock.read_or_zero(&at::SKC_DPORT));
    connection.family = family;
    connection.read_from = sock.read_or_zero(&at::TCP_COPIED_SEQ);
    connection.written_from = sock.read_or_zero(&at::TCP_WRITE_SEQ);
}

/// Puts a record into the map, unless there is one; `None` when the map is full.
#[inline(always)]
pub(crate) fn follow(sock: Address, record: &Connection) -> Option<*mut Connection> {
    const ONLY_IF_ABSENT: u64 = 1;
    // A failure shows in the lookup.
    if CONNECTIONS.insert(sock.0, record, ONLY_IF_ABSENT).is_ok() {
        lost(loss::FOLLOWED);
    }
    CONNECTIONS.get_ptr_mut(sock.0)
}
