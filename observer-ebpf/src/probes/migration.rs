//! Signal: a connection that waited in the queue of a shard that closed is now in the queue of another shard.
//!
//! With `net.ipv4.tcp_migrate_req`, `inet_csk_listen_stop` asks `reuseport_migrate_sock` for another shard and appends the
//! child to its queue, without any change of the child's state.
//!
//! - `fexit/reuseport_migrate_sock(sk, migrating_sk, skb)` sees each of them before it is appended. It also fires for a
//!   request whose handshake completes at another shard, which no record exists of. A child that cannot be appended is
//!   reset, and ends as one that the new shard had in its queue.
//! - `sk_data_ready` of the new listener, which kernels call since 2026, stable ones too. The request at the queue's tail
//!   names the child.

use aya_ebpf::{macros::fexit, programs::FExitContext};
use observer_ebpf::record::{ListenerEntry, flag};

use super::{followed, listener};
use crate::{
    books::{add, raise32, set_bits},
    constants as at,
    kernel::{Address, Typed},
    maps::{ARRIVAL, LISTENERS},
};

#[fexit(function = "reuseport_migrate_sock")]
fn migrate_sock(ctx: FExitContext) -> i32 {
    let child: u64 = ctx.arg(1);
    // The result follows the parameters.
    let to = Typed(ctx.arg(3));
    if !to.0.is_null() {
        moves(Address(child), to);
    }
    0
}

/// Before it is appended.
#[inline(always)]
fn moves(child: Address, to: Typed) {
    let depth = to.load::<u32>(&at::SK_ACK_BACKLOG) + 1;
    let Some((cookie, entry)) = listener::watched(to, depth) else { return };
    if !moved(child, cookie, entry) {
        return;
    }
    unsafe {
        add(&raw mut (*entry).counters.enqueued, 1);
        raise32(&raw mut (*entry).counters.peak, depth);
    }
    if let Some(arrival) = ARRIVAL.get_ptr_mut(0) {
        unsafe { (*arrival).moved = child.0 };
    }
}

/// A child is in the queue of this listener; `false` if it did not come from another one.
#[inline(always)]
pub(crate) fn moved(child: Address, cookie: u64, entry: *mut ListenerEntry) -> bool {
    let Some(connection) = followed::record(child) else { return false };
    unsafe {
        if (*connection).listener == cookie {
            return false;
        }
        if let Some(old) = LISTENERS.get_ptr_mut((*connection).listener) {
            add(&raw mut (*old).counters.moved_away, 1);
        }
        (*connection).listener = cookie;
        set_bits(&raw mut (*connection).flags, flag::MIGRATED);
        add(&raw mut (*entry).counters.migrated, 1);
    }
    true
}
