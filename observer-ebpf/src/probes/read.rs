//! Signal: the program read from a connection. All hooks run in the context of the reader.
//!
//! - `tp_btf/sock_recv_length(sk, ret, flags)`: the end of `sock_recvmsg` (6.3 and later). Peeks take nothing out of the
//!   queue and are not reads; neither is the 0 that says end of file, nor a message of the error queue. It cannot see splice and sendfile.
//! - `fexit/tcp_recvmsg(sk, msg, len, flags, addr_len)`: the same, one layer down. Up to 5.18 it has `nonblock` before
//!   `flags`, which makes 6 parameters; from 7.1 on it has no `addr_len`, which leaves 4. Each has a program of its own.
//! - `tp_btf/tcp_rcv_space_adjust(sk)`: each time that bytes were copied to the program, splice included. It says
//!   nothing about how many; they are what was received less what is still there. One read of several segments
//!   passes it several times.

use aya_ebpf::{
    macros::{btf_tracepoint, fexit},
    programs::{BtfTracePointContext, FExitContext},
};
use observer_ebpf::record::{flag, stage};

use super::{accept_unseen, followed, read_unseen};
use crate::{
    books::{add, add_signed, add32, duration, now, set_bits},
    constants as at,
    copies::{self, Turn, event},
    kernel::{self, Address, MSG_ERRQUEUE, MSG_PEEK, Typed},
    maps::LISTENERS,
    threads,
};

#[btf_tracepoint(function = "sock_recv_length")]
fn recv_length(ctx: BtfTracePointContext) -> i32 {
    returned(Typed(ctx.arg(0)), ctx.arg(1), ctx.arg(2), Turn::First)
}

#[btf_tracepoint(function = "sock_recv_length")]
fn recv_length_2(ctx: BtfTracePointContext) -> i32 {
    returned(Typed(ctx.arg(0)), ctx.arg(1), ctx.arg(2), Turn::Again)
}

#[btf_tracepoint(function = "sock_recv_length")]
fn recv_length_3(ctx: BtfTracePointContext) -> i32 {
    returned(Typed(ctx.arg(0)), ctx.arg(1), ctx.arg(2), Turn::Again)
}

#[fexit(function = "tcp_recvmsg")]
fn recvmsg(ctx: FExitContext) -> i32 {
    // The result follows the parameters, whose number the plan checks. Not by bpf_get_func_ret: verifiers up to 6.7 do
    // not know that it writes to where it is told, take the result for the 0 that was there, and cut off the rest.
    returned(Typed(ctx.arg(0)), ctx.arg(5), ctx.arg(3), Turn::First)
}

#[fexit(function = "tcp_recvmsg")]
fn recvmsg_by_6(ctx: FExitContext) -> i32 {
    returned(Typed(ctx.arg(0)), ctx.arg(6), ctx.arg(4), Turn::First)
}

#[fexit(function = "tcp_recvmsg")]
fn recvmsg_by_4(ctx: FExitContext) -> i32 {
    returned(Typed(ctx.arg(0)), ctx.arg(4), ctx.arg(3), Turn::First)
}

#[inline(always)]
fn returned(sock: Typed, result: i32, flags: i32, turn: Turn) -> i32 {
    if result > 0
        && flags & (MSG_PEEK | MSG_ERRQUEUE) == 0
        && let Some(flow) = kernel::flow(sock)
    {
        received(flow, result as u64, turn);
    }
    0
}

#[btf_tracepoint(function = "tcp_rcv_space_adjust")]
fn rcv_space_adjust(ctx: BtfTracePointContext) -> i32 {
    let sock = Typed(ctx.arg(0));
    let Some(connection) = followed::record(sock.address()) else { return 0 };
    // A peek passes here too, and takes nothing.
    if let Some(more) = unsafe { read_unseen::missing(connection, sock.address()) }
        && more > 0
    {
        received(sock.0 as u64, more as u64, Turn::First);
    }
    0
}

/// From here on a wait is looked at twice.
const LONG_WAIT_NS: u64 = 1_000_000;

#[inline(always)]
fn received(flow: u64, bytes: u64, turn: Turn) {
    if !copies::mark_at(event::READ, flow, &at::TCP_COPIED_SEQ, turn) {
        return;
    }
    let Some(connection) = followed::record(Address(flow)) else { return };
    if turn == Turn::Again {
        match unsafe { read_unseen::missing(connection, Address(flow)) } {
            Some(missing) if i64::from(missing) >= bytes as i64 => copies::taken_over(),
            _ => return,
        }
    }
    let now = now();
    let (_, tid) = threads::ids();
    let (before, cookie, waited, accepted) = unsafe {
        let connection = &mut *connection;
        add(&raw mut connection.bytes_read, bytes);
        add32(&raw mut connection.reads, 1);
        threads::note(&raw mut connection.readers, tid, &raw mut connection.flags, flag::MORE_READERS);
        let since = connection.unread_since_ns;
        connection.unread_since_ns = 0;
        connection.read_unanswered_ns = now;
        let mut waited = if since != 0 { Some(now.saturating_sub(since)) } else { None };
        if let Some(wait) = waited {
            // That data may have been taken long ago by a path that was not seen, and this is the next.
            if wait > LONG_WAIT_NS
                && read_unseen::missing(connection, Address(flow)).is_some_and(|more| more > 0)
            {
                waited = None;
            } else if wait > connection.longest_read_wait_ns {
                connection.longest_read_wait_ns = wait;
            }
        }
        let before = if connection.flags & flag::READ == 0 {
            set_bits(&raw mut connection.flags, flag::READ)
        } else {
            connection.flags
        };
        if before & flag::READ == 0 {
            connection.first_read_ns = now;
        }
        (before, connection.listener, waited, connection.accepted_ns)
    };
    if let Some(entry) = LISTENERS.get_ptr_mut(cookie) {
        unsafe {
            if let Some(waited) = waited {
                duration(entry, stage::DATA_TO_READ, waited);
            }
            if flag::is_unread(before) {
                add_signed(&raw mut (*entry).counters.unread, -1);
            }
            if before & flag::READ == 0 && accepted != 0 {
                duration(entry, stage::ACCEPT_TO_READ, now.saturating_sub(accepted));
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
