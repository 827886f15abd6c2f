//! Signal: a listener opens. Its entry lives until userspace has read it one last time after its socket is gone.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_get_socket_cookie;
use observer_ebpf::{
    loss,
    record::{COMM, LeftOut, ListenerEntry, ListenerEvent},
};

use crate::{
    books::{LISTENER_OPENED, lost, now, send},
    constants as at,
    kernel::{Address, Typed, is_tcp, local_address, netns},
    maps::{BLANK_LISTENER, HELD, LEFT_OUT, LISTENERS},
    select::selected,
    threads,
};

/// Who holds a listener, and since when.
pub(crate) struct Holder {
    pub(crate) pid: u32,
    pub(crate) tid: u32,
    pub(crate) comm: [u8; COMM],
    pub(crate) opened_ns: u64,
}

/// CLOSE → LISTEN, in the context of the thread that called listen(2).
#[inline(always)]
pub(crate) fn opened(sock: Typed) {
    if !is_tcp(sock) {
        return;
    }
    let (pid, tid) = threads::ids();
    register(sock, &Holder { pid, tid, comm: threads::name(), opened_ns: now() });
}

/// Cookie and entry of a listener that has so many connections in its queue, if it is watched.
#[inline(always)]
pub(crate) fn watched(sock: Typed, depth: u32) -> Option<(u64, *mut ListenerEntry)> {
    let cookie: u64 = sock.load(&at::SKC_COOKIE);
    match LISTENERS.get_ptr_mut(cookie) {
        Some(entry) => Some((cookie, entry)),
        None => first_connection(sock, depth),
    }
}

/// The first connection of an MPTCP listener from before the start: watches it, and returns its cookie and entry.
#[inline(always)]
fn first_connection(sock: Typed, depth: u32) -> Option<(u64, *mut ListenerEntry)> {
    let key = sock.0 as u64;
    let held = HELD.get_ptr(key)?;
    let holder = unsafe { Holder { pid: (*held).pid, tid: 0, comm: (*held).comm, opened_ns: 0 } };
    register(sock, &holder);
    let _ = HELD.remove(key);
    let cookie: u64 = sock.load(&at::SKC_COOKIE);
    let entry = LISTENERS.get_ptr_mut(cookie)?;
    // The one that comes now is counted as an arrival.
    unsafe {
        (*entry).counters.queued_at_start = depth.saturating_sub(1);
        (*entry).counters.unrecorded = depth.saturating_sub(1);
    }
    Some((cookie, entry))
}

/// Watches a listener if it is selected, and if it is not watched already.
#[inline(always)]
pub(crate) fn register(sock: Typed, holder: &Holder) {
    // Makes the cookie if there is none yet; it is never used again, so no later socket is taken for this one.
    let cookie = unsafe { bpf_get_socket_cookie(sock.0 as *mut c_void) };
    watch(sock.address(), cookie, holder);
}

/// The same for the socket at an address of which the verifier knows nothing, by the cookie that it has.
#[inline(always)]
pub(crate) fn watch(address: Address, cookie: u64, holder: &Holder) {
    let port: u16 = address.read_or_zero(&at::SKC_NUM);
    let netns = netns(address);
    if !selected(address, port, netns, holder.pid) || LISTENERS.get_ptr(cookie).is_some() {
        return;
    }
    let Some(blank) = BLANK_LISTENER.get(0) else { return };
    const ONLY_IF_ABSENT: u64 = 1;
    if LISTENERS.insert(cookie, blank, ONLY_IF_ABSENT).is_err() && LISTENERS.get_ptr(cookie).is_none() {
        // Several processes may hold it, and the iterator may run again: it is counted once.
        let left_out = LeftOut { pid: holder.pid, comm: holder.comm };
        const IS_THERE: i32 = -17;
        if LEFT_OUT.insert(cookie, left_out, ONLY_IF_ABSENT) != Err(IS_THERE) {
            lost(loss::LISTENERS_FULL);
        }
        return;
    }
    let Some(entry) = LISTENERS.get_ptr_mut(cookie) else { return };
    unsafe { fill(entry, address, cookie, port, netns, holder) };
    threads::serves(holder.pid);
    send(
        &ListenerEvent { kind: LISTENER_OPENED, reserved: 0, cookie, time_ns: holder.opened_ns },
        loss::RING_LISTENER,
    );
}

#[inline(always)]
unsafe fn fill(
    entry: *mut ListenerEntry,
    sock: Address,
    cookie: u64,
    port: u16,
    netns: u32,
    holder: &Holder,
) {
    let entry = unsafe { &mut *entry };
    let family: u16 = sock.read_or_zero(&at::SKC_FAMILY);
    let words = local_address(sock, family);
    let identity = &mut entry.identity;
    identity.cookie = cookie;
    identity.opened_ns = holder.opened_ns;
    identity.destroyed_ns = 0;
    identity.netns = netns;
    identity.pid = holder.pid;
    identity.tid = holder.tid;
    identity.family = family;
    identity.port = port;
    identity.address = unsafe { core::mem::transmute::<[u32; 4], [u8; 16]>(words) };
    identity.comm = holder.comm;
    identity.device = sock.read_or_zero(&at::SKC_BOUND_DEV_IF);
    identity.sock = sock.0;
    // One that has just opened has an empty queue; one that existed before is read while connections may arrive, so
    // the difference to what is counted from here on is not exact by the few of that instant.
    if holder.opened_ns == 0 {
        entry.counters.queued_at_start = sock.read_or_zero(&at::SK_ACK_BACKLOG);
        entry.counters.unrecorded = entry.counters.queued_at_start;
        entry.counters.peak = entry.counters.queued_at_start;
        entry.counters.drops_at_start = sock.read_or_zero(&at::SK_DROPS);
    }
}
