//! Who holds the watched listeners now: part of the signal `existing_listeners`.
//!
//! The same iterator over all open files. listen(2) tells who made a listener; forks, exec and descriptors that are
//! passed on change who holds it, and a listener lives as long as anybody does. Userspace runs it when somebody waits in
//! a queue that is not emptied, or when the process that called listen(2) is gone.

use observer_ebpf::record::{HolderEntry, HolderKey};

use super::existing::{TaskFile, held, holder};
use crate::{
    constants as at,
    kernel::{Address, TCP_LISTEN, flow},
    maps::{HOLDERS, LISTENERS},
};

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
fn listener_holders(ctx: *const TaskFile) -> i32 {
    let Some((task, sock)) = held(ctx) else { return 0 };
    // For MPTCP the first subflow is what listens and what is watched.
    let Some(flow) = flow(sock).map(Address) else { return 0 };
    if flow.read::<u8>(&at::SKC_STATE).map(i32::from) != Some(TCP_LISTEN) {
        return 0;
    }
    let Some(listener) = flow.read::<u64>(&at::SKC_COOKIE) else { return 0 };
    if LISTENERS.get_ptr(listener).is_none() {
        return 0;
    }
    let found = holder(task);
    let descriptor = unsafe { (*ctx).descriptor } as u32;
    let key = HolderKey { listener, pid: found.pid, descriptor };
    // Full: said in the map's description.
    let _ = HOLDERS.insert(key, HolderEntry { comm: found.comm }, 0);
    0
}
