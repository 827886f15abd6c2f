//! Who accepts from which listener, counted: a sentence that says that a thread never accepted has to be exact. Part of
//! the signal `accept`, whose hooks call this.

use observer_ebpf::{
    loss,
    record::{AcceptorEntry, AcceptorKey, ThreadKey},
};

use super::accept::From;
use crate::{
    books::{lost, now},
    constants as at,
    kernel::{self, Typed},
    maps::ACCEPTORS,
    threads,
};

const EINTR: i64 = 4;
const EAGAIN: i64 = 11;
/// Errors of 512 and more mean that the kernel calls again, after a signal (`ERESTARTSYS` and its like).
const ERESTARTSYS: i64 = 512;

/// The entry of the current thread at a listener, made if it is not there. Only the thread itself writes to it.
#[inline(always)]
fn entry(listener: u64, task: Typed) -> Option<*mut AcceptorEntry> {
    let (pid, tid) = threads::ids();
    let key =
        AcceptorKey { listener, thread: ThreadKey { pid, tid, started_ns: task.load(&at::TASK_START) } };
    if let Some(entry) = ACCEPTORS.get_ptr_mut(key) {
        return Some(entry);
    }
    let fresh = AcceptorEntry {
        accepts: 0,
        accepted_ns: 0,
        failures: 0,
        failing_ns: 0,
        failed_ns: 0,
        errno: 0,
        reserved: 0,
        comm: [0; observer_ebpf::record::COMM],
    };
    if ACCEPTORS.insert(key, fresh, 0).is_err() {
        lost(loss::THREADS_FULL);
    }
    ACCEPTORS.get_ptr_mut(key)
}

/// The current thread accepted a connection of this listener.
#[inline(always)]
pub(crate) fn accepted(listener: u64, task: Typed, now: u64) {
    if listener == 0 {
        return;
    }
    if let Some(entry) = entry(listener, task) {
        unsafe {
            (*entry).accepts += 1;
            (*entry).accepted_ns = now;
            (*entry).failing_ns = 0;
            (*entry).comm = threads::name();
        }
    }
}

/// accept(2) of the current thread failed. EAGAIN is how a loop learns that the queue is empty, and comes too often to
/// look for the listener each time.
#[inline(always)]
pub(crate) fn failed(errno: i64) {
    if errno == EAGAIN || errno == EINTR || errno >= ERESTARTSYS {
        return;
    }
    let task = kernel::current();
    let Some(listener) = From::SystemCall.watched(task) else { return };
    if let Some(entry) = entry(listener, task) {
        let now = now();
        unsafe {
            (*entry).failures += 1;
            (*entry).failed_ns = now;
            if (*entry).failing_ns == 0 {
                (*entry).failing_ns = now;
            }
            (*entry).errno = errno as u32;
            (*entry).comm = threads::name();
        }
    }
}
