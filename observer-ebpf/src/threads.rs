//! Who is doing it. Only for hooks that run in the context of the thread that made the system call: in softirq the
//! current task is whoever was interrupted, on loopback usually the client.

use aya_ebpf::helpers::{bpf_get_current_comm, bpf_get_current_pid_tgid};
use observer_ebpf::{
    loss,
    record::{COMM, NAMED_THREADS, ThreadEntry, ThreadKey},
};

use crate::{
    books::{lost, set_bits},
    constants as at,
    kernel::Typed,
    maps::{SERVERS, THREADS},
};

/// The current thread's name.
#[inline(always)]
pub(crate) fn name() -> [u8; COMM] {
    bpf_get_current_comm().unwrap_or([0; COMM])
}

/// Process and thread.
#[inline(always)]
pub(crate) fn ids() -> (u32, u32) {
    let both = bpf_get_current_pid_tgid();
    ((both >> 32) as u32, both as u32)
}

/// The current thread's entry, made when it is not there. Nobody else writes to it, so plain additions do.
#[inline(always)]
pub(crate) fn entry(task: Typed, now: u64) -> Option<*mut ThreadEntry> {
    let (pid, tid) = ids();
    let key = ThreadKey { pid, tid, started_ns: task.load(&at::TASK_START) };
    if let Some(entry) = THREADS.get_ptr_mut(key) {
        unsafe { (*entry).last_ns = now };
        return Some(entry);
    }
    let fresh = ThreadEntry {
        accepts: 0,
        reads: 0,
        writes: 0,
        unasked: 0,
        bytes_read: 0,
        bytes_written: 0,
        sleeps: 0,
        last_ns: now,
        comm: name(),
    };
    if THREADS.insert(key, fresh, 0).is_err() {
        lost(loss::THREADS_FULL);
    }
    serves(pid);
    THREADS.get_ptr_mut(key)
}

/// Remembers a process that has a listener, or connections of one. As large as the map of threads, so it is never full
/// before that one is.
#[inline(always)]
pub(crate) fn serves(pid: u32) {
    let _ = SERVERS.insert(pid, 1, 0);
}

/// Notes a thread in a connection's list of readers or writers, unless it is there; sets `more` when there is no
/// room. Two threads that read one connection for the first time at the same instant may both take the same place:
/// the one that lost is noted at its next read.
#[inline(always)]
pub(crate) unsafe fn note(list: *mut [u32; NAMED_THREADS], tid: u32, flags: *mut u32, more: u32) {
    let list = list.cast::<u32>();
    for place in 0..NAMED_THREADS {
        let slot = unsafe { list.add(place) };
        let holder = unsafe { slot.read_volatile() };
        if holder == tid {
            return;
        }
        if holder == 0 {
            unsafe { slot.write_volatile(tid) };
            return;
        }
    }
    unsafe { set_bits(flags, more) };
}
