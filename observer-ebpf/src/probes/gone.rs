//! Signal: the socket of a followed connection is gone, and no program was shown its end.
//!
//! A kernel may not run a program at an event: it is running already on that processor, or the kernel has reasons of its
//! own (one on which this was seen runs none while certain tasks are current). Then a record outlives its socket. It shows
//! by the next socket at the same address, which has another peer; and userspace has the followed sockets looked at, a few
//! at a time.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use observer_ebpf::{
    loss,
    record::{Connection, flag},
};

use super::{endings, followed, read_unseen, sample::arguments, write_unseen};
use crate::{
    books::{add, lost, set_bits},
    constants as at,
    kernel::Address,
    maps::{CONNECTIONS, LISTENERS},
};

/// Never attached: userspace runs it with the addresses of up to twelve sockets.
#[raw_tracepoint(tracepoint = "sys_enter")]
fn look_for_ends(ctx: RawTracePointContext) -> i32 {
    for sock in arguments(&ctx) {
        // The record is looked up itself, because nothing is to be ended here in two ways.
        if sock != 0
            && let Some(connection) = CONNECTIONS.get_ptr_mut(sock)
            && (followed::is_of_another(connection, Address(sock)) || is_gone(Address(sock)))
        {
            end(connection);
            let _ = CONNECTIONS.remove(sock);
        }
    }
    0
}

/// Whether nobody holds the socket any more. Its memory stays that of a socket until it is used again.
#[inline(always)]
fn is_gone(sock: Address) -> bool {
    sock.read::<u32>(&at::SKC_REFCNT).is_none_or(|references| references == 0)
}

/// Sends the record of a connection whose end was missed, and takes it out of the gauges. Once, whoever finds it. A
/// function of its own, because whatever looks a record up may come upon one.
#[inline(never)]
pub(crate) fn end(connection: *mut Connection) -> i32 {
    unsafe {
        let flags = set_bits(&raw mut (*connection).flags, flag::END_UNSEEN);
        if flags & flag::END_UNSEEN != 0 {
            return 0;
        }
        if flags & flag::ACCEPTED != 0 && (*connection).closed_ns == 0 {
            // The socket is gone that could tell.
            set_bits(&raw mut (*connection).flags, flag::READ_UNSEEN | flag::WRITE_UNSEEN);
        } else {
            read_unseen::note_closed(connection);
            write_unseen::note_closed(connection);
        }
        if let Some(entry) = LISTENERS.get_ptr_mut((*connection).listener) {
            add(&raw mut (*entry).counters.end_unseen, 1);
            endings::ended(connection, entry);
        }
        lost(loss::END_MISSED);
        followed::ended(connection);
    }
    0
}
