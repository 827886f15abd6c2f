//! Atomic operations on map values, which processors share.
//!
//! `core::sync::atomic` offers BPF only loads and stores, so these are the instructions themselves (BPF instruction
//! set v3, kernel 5.12): <https://docs.kernel.org/bpf/standardization/instruction-set.html#atomic-operations>.

use core::arch::asm;

/// `*at += amount`.
#[inline(always)]
pub(crate) unsafe fn add(at: *mut u64, amount: u64) {
    unsafe { asm!("lock *(u64 *)({at} + 0) += {amount}", at = in(reg) at, amount = in(reg) amount) };
}

/// `*at += amount`, 32 bits.
#[inline(always)]
pub(crate) unsafe fn add32(at: *mut u32, amount: u32) {
    unsafe { asm!("lock *(u32 *)(r1 + 0) += w2", in("r1") at, in("r2") u64::from(amount)) };
}

/// `*at |= bits`, 32 bits; returns what was there before.
#[inline(always)]
pub(crate) unsafe fn fetch_or32(at: *mut u32, bits: u32) -> u32 {
    let mut value = u64::from(bits);
    unsafe { asm!("w2 = atomic_fetch_or((u32 *)(r1 + 0), w2)", in("r1") at, inout("r2") value) };
    value as u32
}

/// Puts `value` there, 32 bits; returns what was there before.
#[inline(always)]
pub(crate) unsafe fn swap32(at: *mut u32, value: u32) -> u32 {
    let mut value = u64::from(value);
    unsafe { asm!("w2 = xchg32_32(r1 + 0, w2)", in("r1") at, inout("r2") value) };
    value as u32
}

/// Puts `new` there if `expected` is there; returns what was there before.
#[inline(always)]
pub(crate) unsafe fn compare_exchange(at: *mut u64, expected: u64, new: u64) -> u64 {
    let mut value = expected;
    unsafe { asm!("r0 = cmpxchg_64(r1 + 0, r0, r2)", in("r1") at, in("r2") new, inout("r0") value) };
    value
}

/// [`compare_exchange`], 32 bits.
#[inline(always)]
pub(crate) unsafe fn compare_exchange32(at: *mut u32, expected: u32, new: u32) -> u32 {
    let mut value = u64::from(expected);
    unsafe {
        asm!("w0 = cmpxchg32_32(r1 + 0, w0, w2)", in("r1") at, in("r2") u64::from(new), inout("r0") value)
    };
    value as u32
}
