//! Signal: the program wrote to a connection.
//!
//! Hook `tp_btf/sock_send_length(sk, ret, flags)`: the end of `sock_sendmsg`, in the context of the writer. What it
//! cannot see: bytes that sendfile and splice move within the kernel.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use observer_ebpf::record::{flag, stage};

use super::accept_unseen;
use crate::{
    books::{add, add32, duration, now},
    constants as at,
    kernel::{self, IPPROTO_TCP, Typed},
    maps::{CONNECTIONS, LISTENERS},
    threads,
};

#[btf_tracepoint(function = "sock_send_length")]
fn send_length(ctx: BtfTracePointContext) -> i32 {
    let result: i32 = ctx.arg(1);
    if result > 0 {
        sent(Typed(ctx.arg(0)), result as u64);
    }
    0
}

#[inline(always)]
fn sent(sock: Typed, bytes: u64) {
    if sock.load::<u16>(&at::SK_PROTOCOL) != IPPROTO_TCP {
        return;
    }
    let Some(connection) = CONNECTIONS.get_ptr_mut(sock.0 as u64) else { return };
    let now = now();
    let (_, tid) = threads::ids();
    let (first, read, cookie, flags) = unsafe {
        let connection = &mut *connection;
        add(&raw mut connection.bytes_written, bytes);
        add32(&raw mut connection.writes, 1);
        threads::note(&raw mut connection.writers, tid, &raw mut connection.flags, flag::MORE_WRITERS);
        let first = connection.first_write_ns == 0;
        if first {
            connection.first_write_ns = now;
        }
        (first, connection.first_read_ns, connection.listener, connection.flags)
    };
    if (first || flags & flag::ACCEPTED == 0)
        && let Some(entry) = LISTENERS.get_ptr_mut(cookie)
    {
        unsafe {
            if first && read != 0 {
                duration(entry, stage::READ_TO_WRITE, now.saturating_sub(read));
            }
            accept_unseen::note(connection, entry, flags);
        }
    }
    if let Some(thread) = threads::entry(kernel::current(), now) {
        unsafe {
            (*thread).writes += 1;
            (*thread).bytes_written += bytes;
        }
    }
}
