//! Signal: a TCP socket is destroyed: the end of a connection's record, or of a listener.
//!
//! Hook `tp_btf/tcp_destroy_sock(sk)`, in `tcp_v4_destroy_sock`, which IPv6 uses too. It comes after
//! `inet_csk_listen_stop` has reset what was queued, so a listener's last figures include those.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use observer_ebpf::{
    loss,
    record::{Connection, ListenerEvent, flag, stage},
};

use super::{endings, followed, read_unseen, read_unseen::is_layered, sample, write_unseen};
use crate::{
    books::{LISTENER_CLOSED, add, duration, now, send, set_bits},
    constants as at,
    copies::preempted,
    kernel::{Address, Typed},
    maps::{CONNECTIONS, LISTENERS},
};

#[btf_tracepoint(function = "tcp_destroy_sock")]
fn destroy_sock(ctx: BtfTracePointContext) -> i32 {
    destroyed(Typed(ctx.arg(0)))
}

/// What the first has done is done.
#[btf_tracepoint(function = "tcp_destroy_sock")]
fn destroy_sock_2(ctx: BtfTracePointContext) -> i32 {
    destroyed(Typed(ctx.arg(0)))
}

#[btf_tracepoint(function = "tcp_destroy_sock")]
fn destroy_sock_3(ctx: BtfTracePointContext) -> i32 {
    destroyed(Typed(ctx.arg(0)))
}

#[inline(always)]
fn destroyed(sock: Typed) -> i32 {
    let key = sock.0 as u64;
    if connection(sock) {
        return 0;
    }
    let cookie: u64 = sock.load(&at::SKC_COOKIE);
    if cookie != 0
        && let Some(entry) = LISTENERS.get_ptr_mut(cookie)
        // A child copies its request's cookie, never its listener's; still, only the listener itself ends it.
        && unsafe { (*entry).identity.sock } == key
        && unsafe { (*entry).identity.destroyed_ns } == 0
    {
        sample::sample(cookie, entry);
        let time_ns = now();
        unsafe { (*entry).identity.destroyed_ns = time_ns };
        send(&ListenerEvent { kind: LISTENER_CLOSED, reserved: 0, cookie, time_ns }, loss::RING_LISTENER);
    }
    0
}

/// Ends the record of the connection that this socket was; `false` if it was none that is followed.
#[inline(always)]
pub(crate) fn connection(sock: Typed) -> bool {
    let Some(connection) = followed::record(sock.address()) else { return false };
    unsafe { connection_ended(connection, sock.address()) };
    let _ = CONNECTIONS.remove(sock.0 as u64);
    true
}

/// Settles what was read and written unseen.
#[inline(always)]
unsafe fn account(connection: *mut Connection, sock: Address) {
    unsafe {
        let closed = (*connection).closed_ns != 0;
        if is_layered(sock) {
            // Nothing tells whether programs that count were skipped.
            if preempted() && (*connection).flags & flag::ACCEPTED != 0 {
                set_bits(&raw mut (*connection).flags, flag::READ_UNSEEN | flag::WRITE_UNSEEN);
            }
            return;
        }
        // tcp_disconnect takes the peer away and moves both sequence numbers.
        if closed && sock.read::<u16>(&at::SKC_DPORT) == Some(0) {
            read_unseen::note_closed(connection);
        } else {
            read_unseen::note(connection, sock);
        }
        if closed {
            write_unseen::note_closed(connection);
        } else {
            write_unseen::note(connection, sock);
        }
    }
}

#[inline(always)]
unsafe fn connection_ended(connection: *mut Connection, sock: Address) {
    let now = now();
    unsafe {
        (*connection).destroyed_ns = now;
        account(connection, sock);
        if (*connection).closed_ns == 0 {
            (*connection).closed_ns = now;
        }
        if let Some(entry) = LISTENERS.get_ptr_mut((*connection).listener) {
            add(&raw mut (*entry).counters.ended, 1);
            let enqueued = (*connection).enqueued_ns;
            if enqueued != 0 {
                duration(entry, stage::LIFETIME, now - enqueued);
            }
            endings::ended(connection, entry);
        }
        followed::ended(connection);
    }
}
