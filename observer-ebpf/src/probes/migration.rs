//! Signal: a connection that waited in the queue of a shard that closed is now in the queue of another shard.
//!
//! With `net.ipv4.tcp_migrate_req`, `inet_csk_listen_stop` appends the child to the other queue and calls that listener's
//! `sk_data_ready`, without any change of the child's state. The request at the queue's tail names the child.

use observer_ebpf::record::{ListenerEntry, flag};

use super::followed;
use crate::{
    books::{add, set_bits},
    kernel::Address,
    maps::LISTENERS,
};

/// The listener was told of a connection that was not established just before; `false` if it did not come from another
/// listener.
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
