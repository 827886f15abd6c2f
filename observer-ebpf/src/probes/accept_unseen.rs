//! Signal: a connection is read or written though no accept of it was seen: somebody accepted it by a path that has
//! no hook here (io_uring, the kernel itself). That it was accepted is certain; when and by whom is not known.

use observer_ebpf::record::{Connection, ListenerEntry, flag};

use crate::books::{add, set_bits};

/// Counts the accept, once; `flags` are the connection's as last seen.
#[inline(always)]
pub(crate) unsafe fn note(connection: *mut Connection, entry: *mut ListenerEntry, flags: u32) {
    if flags & flag::ACCEPTED != 0 {
        return;
    }
    unsafe {
        let before = set_bits(&raw mut (*connection).flags, flag::ACCEPTED | flag::ACCEPT_UNSEEN);
        if before & flag::ACCEPTED == 0 {
            add(&raw mut (*entry).counters.accepted, 1);
            add(&raw mut (*entry).counters.accepted_unseen, 1);
        }
    }
}
