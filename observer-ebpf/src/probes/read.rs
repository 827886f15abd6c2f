//! Signal: the program read from a connection.
//!
//! Hook `tp_btf/sock_recv_length(sk, ret, flags)`: the end of `sock_recvmsg`, in the context of the reader. Peeks take
//! nothing out of the queue and are not reads; neither is the 0 that says end of file. What it cannot see: splice and
//! sendfile.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use observer_ebpf::record::{flag, stage};

use super::accept_unseen;
use crate::{
    books::{add, add_signed, add32, duration, now, set_bits},
    constants as at,
    kernel::{self, IPPROTO_TCP, MSG_PEEK, Typed},
    maps::{CONNECTIONS, LISTENERS},
    threads,
};

#[btf_tracepoint(function = "sock_recv_length")]
fn recv_length(ctx: BtfTracePointContext) -> i32 {
    let result: i32 = ctx.arg(1);
    let flags: i32 = ctx.arg(2);
    if result > 0 && flags & MSG_PEEK == 0 {
        received(Typed(ctx.arg(0)), result as u64);
    }
    0
}

#[inline(always)]
fn received(sock: Typed, bytes: u64) {
    if sock.load::<u16>(&at::SK_PROTOCOL) != IPPROTO_TCP {
        return;
    }
    let Some(connection) = CONNECTIONS.get_ptr_mut(sock.0 as u64) else { return };
    let now = now();
    let (_, tid) = threads::ids();
    let (before, cookie, waited, accepted) = unsafe {
        let connection = &mut *connection;
        add(&raw mut connection.bytes_read, bytes);
        add32(&raw mut connection.reads, 1);
        threads::note(&raw mut connection.readers, tid, &raw mut connection.flags, flag::MORE_READERS);
        let since = connection.unread_since_ns;
        connection.unread_since_ns = 0;
        let waited = if since != 0 { now.saturating_sub(since) } else { 0 };
        if waited > connection.longest_read_wait_ns {
            connection.longest_read_wait_ns = waited;
        }
        let before = if connection.flags & flag::READ == 0 {
            set_bits(&raw mut connection.flags, flag::READ)
        } else {
            connection.flags
        };
        if before & flag::READ == 0 {
            connection.first_read_ns = now;
        }
        (before, connection.listener, if since != 0 { Some(waited) } else { None }, connection.accepted_ns)
    };
    if let Some(entry) = LISTENERS.get_ptr_mut(cookie) {
        unsafe {
            if let Some(waited) = waited {
                duration(entry, stage::DATA_TO_READ, waited);
            }
            if before & flag::READ == 0 {
                if before & (flag::ACCEPTED | flag::DATA) == flag::ACCEPTED | flag::DATA {
                    add_signed(&raw mut (*entry).counters.unread, -1);
                }
                if accepted != 0 {
                    duration(entry, stage::ACCEPT_TO_READ, now.saturating_sub(accepted));
                }
            }
            accept_unseen::note(connection, entry, before);
        }
    }
    if let Some(thread) = threads::entry(kernel::current(), now) {
        unsafe {
            (*thread).reads += 1;
            (*thread).bytes_read += bytes;
        }
    }
}
