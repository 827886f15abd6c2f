//! Signal: the program wrote to a connection. All hooks run in the context of the writer.
//!
//! - `tp_btf/sock_send_length(sk, ret, flags)`: the end of `sock_sendmsg` (6.3 and later), which sendfile passes too.
//! - `fexit/tcp_sendmsg(sk, msg, size)`, and `fexit/tcp_sendpage(sk, page, offset, size, flags)`, by which kernels
//!   before 6.5 send what sendfile and splice move.

use aya_ebpf::{
    macros::{btf_tracepoint, fexit},
    programs::{BtfTracePointContext, FExitContext},
};
use observer_ebpf::record::{flag, stage};

use super::{accept_unseen, followed, held, read_unseen, write_unseen};
use crate::{
    books::{add, add32, duration, now},
    constants as at,
    copies::{self, Turn, event},
    kernel::{self, Address, Typed},
    maps::LISTENERS,
    threads,
};

/// Writes on one connection within this long count once for its listener.
const SPELL_NS: u64 = 200_000_000;

#[btf_tracepoint(function = "sock_send_length")]
fn send_length(ctx: BtfTracePointContext) -> i32 {
    returned(Typed(ctx.arg(0)), ctx.arg(1), Turn::First)
}

#[btf_tracepoint(function = "sock_send_length")]
fn send_length_2(ctx: BtfTracePointContext) -> i32 {
    returned(Typed(ctx.arg(0)), ctx.arg(1), Turn::Again)
}

#[btf_tracepoint(function = "sock_send_length")]
fn send_length_3(ctx: BtfTracePointContext) -> i32 {
    returned(Typed(ctx.arg(0)), ctx.arg(1), Turn::Again)
}

#[fexit(function = "tcp_sendmsg")]
fn sendmsg(ctx: FExitContext) -> i32 {
    // The result follows the parameters; see `read`.
    returned(Typed(ctx.arg(0)), ctx.arg(3), Turn::First)
}

#[fexit(function = "tcp_sendpage")]
fn sendpage(ctx: FExitContext) -> i32 {
    returned(Typed(ctx.arg(0)), ctx.arg(5), Turn::First)
}

#[inline(always)]
fn returned(sock: Typed, result: i32, turn: Turn) -> i32 {
    if result > 0
        && let Some(flow) = kernel::flow(sock)
    {
        sent(flow, result as u64, turn);
    }
    0
}

#[inline(always)]
fn sent(flow: u64, bytes: u64, turn: Turn) {
    if !copies::mark_at(event::WRITE, flow, &at::TCP_WRITE_SEQ, turn) {
        return;
    }
    let Some(connection) = followed::record(Address(flow)) else { return };
    if turn == Turn::Again {
        match unsafe { write_unseen::missing(connection, Address(flow)) } {
            Some(missing) if i64::from(missing) >= bytes as i64 => copies::taken_over(),
            _ => return,
        }
    }
    let now = now();
    let (_, tid) = threads::ids();
    let (first, begins, read, accepted, cookie, flags) = unsafe {
        held::note(connection, Address(flow), now);
        let connection = &mut *connection;
        add(&raw mut connection.bytes_written, bytes);
        add32(&raw mut connection.writes, 1);
        threads::note(&raw mut connection.writers, tid, &raw mut connection.flags, flag::MORE_WRITERS);
        connection.read_unanswered_ns = 0;
        let first = connection.first_write_ns == 0;
        // The listener's entry is looked up now and then, not at every write.
        let begins = now.saturating_sub(connection.spell_ns) >= SPELL_NS;
        if begins {
            connection.spell_ns = now;
        }
        if first {
            connection.first_write_ns = now;
            if connection.flags & flag::READ == 0 {
                read_unseen::note(connection, Address(flow));
            }
        }
        (
            first,
            begins,
            connection.first_read_ns,
            connection.accepted_ns,
            connection.listener,
            connection.flags,
        )
    };
    if (first || begins || flags & flag::ACCEPTED == 0)
        && let Some(entry) = LISTENERS.get_ptr_mut(cookie)
    {
        unsafe {
            if first && read != 0 {
                duration(entry, stage::READ_TO_WRITE, now.saturating_sub(read));
            } else if first && flags & flag::READ == 0 && accepted != 0 {
                duration(entry, stage::ACCEPT_TO_WRITE, now.saturating_sub(accepted));
            }
            if begins {
                add(&raw mut (*entry).writes.spells, 1);
            }
            accept_unseen::note(connection, entry, flags);
        }
    }
    if let Some(thread) = threads::entry(kernel::current(), now) {
        unsafe {
            (*thread).writes += 1;
            (*thread).unasked += u64::from(flags & (flag::READ | flag::HELD) == 0);
            (*thread).bytes_written += bytes;
        }
    }
}
