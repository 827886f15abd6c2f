//! Counting. Map values are shared between processors, so every addition is atomic.

use core::arch::asm;

use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use observer_ebpf::{
    histogram::{BUCKETS, unbounded},
    loss,
    record::{ListenerEntry, kind},
};

pub(crate) use crate::atomic::{add, add32};
use crate::{
    atomic::{compare_exchange, compare_exchange32, fetch_or32},
    maps::{COUNTERS, EVENTS},
};

/// CLOCK_MONOTONIC, nanoseconds.
#[inline(always)]
pub(crate) fn now() -> u64 {
    unsafe { bpf_ktime_get_ns() }
}

/// Adds to a gauge in a map.
#[inline(always)]
pub(crate) unsafe fn add_signed(gauge: *mut i64, amount: i64) {
    unsafe { add(gauge.cast(), amount as u64) };
}

/// Sets bits, and returns the bits that were set before. Whoever of two racing processors comes second sees the
/// other's bit: that is how "accepted, data waiting, not read" is counted exactly once.
#[inline(always)]
pub(crate) unsafe fn set_bits(flags: *mut u32, bits: u32) -> u32 {
    unsafe { fetch_or32(flags, bits) }
}

/// Lost races after which a maximum is given up.
const TRIES: usize = 8;

/// Raises a maximum. It gives up after [`TRIES`] lost races, and counts that.
#[inline(always)]
pub(crate) unsafe fn raise(maximum: *mut u64, candidate: u64) {
    let mut seen = unsafe { maximum.read_volatile() };
    for _ in 0..TRIES {
        if candidate <= seen {
            return;
        }
        let found = unsafe { compare_exchange(maximum, seen, candidate) };
        if found == seen {
            return;
        }
        seen = found;
    }
    lost(loss::MAXIMUM_CONTENDED);
}

/// [`raise`] for a small maximum.
#[inline(always)]
pub(crate) unsafe fn raise32(maximum: *mut u32, candidate: u32) {
    let mut seen = unsafe { maximum.read_volatile() };
    for _ in 0..TRIES {
        if candidate <= seen {
            return;
        }
        let found = unsafe { compare_exchange32(maximum, seen, candidate) };
        if found == seen {
            return;
        }
        seen = found;
    }
    lost(loss::MAXIMUM_CONTENDED);
}

/// Takes one from a small count, unless it is 0. After [`TRIES`] lost races it is taken to have been enough.
#[inline(always)]
pub(crate) unsafe fn take32(count: *mut u32) -> bool {
    let mut seen = unsafe { count.read_volatile() };
    for _ in 0..TRIES {
        if seen == 0 {
            return false;
        }
        let found = unsafe { compare_exchange32(count, seen, seen - 1) };
        if found == seen {
            return true;
        }
        seen = found;
    }
    true
}

/// Counts the duration of a stage.
#[inline(always)]
pub(crate) unsafe fn duration(entry: *mut ListenerEntry, stage: usize, ns: u64) {
    unsafe {
        let counts = (&raw mut (*entry).histograms[stage]).cast::<u32>();
        add32(counts.add(bounded(unbounded(ns))), 1);
        raise(&raw mut (*entry).longest[stage], ns);
    }
}

/// The index, or the last one. Written by the compiler, the comparison is one that the verifier of older kernels (6.1)
/// learns nothing from; one with a constant on the right it understands.
#[inline(always)]
fn bounded(mut index: usize) -> usize {
    unsafe {
        asm!(
            "if {index} < {buckets} goto +1",
            "{index} = {last}",
            index = inout(reg) index,
            buckets = const BUCKETS,
            last = const BUCKETS - 1,
            options(pure, nomem, nostack),
        );
    }
    index
}

/// Counts a loss, or a production, in this processor's own counter.
#[inline(always)]
pub(crate) fn lost(which: u32) {
    if let Some(counter) = COUNTERS.get_ptr_mut(which) {
        // A hard interrupt could come between load and store of a plain addition on the same processor.
        unsafe { add(counter, 1) };
    }
}

/// Sends a record without waking anybody: userspace comes by itself, many times a second. Waking it for each record
/// would cost more than all the rest.
#[inline(always)]
pub(crate) fn send<T>(record: &T, kind_of_loss: u32) {
    const NO_WAKEUP: u64 = 1;
    if EVENTS.output::<T>(record, NO_WAKEUP).is_err() {
        lost(kind_of_loss);
    }
}

/// The kinds that this half sends, named once for the probes.
pub(crate) use kind::{CONNECTION_ENDED, LISTENER_CLOSED, LISTENER_OPENED, SAMPLE};
