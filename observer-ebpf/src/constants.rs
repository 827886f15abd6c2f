//! What the loader hands over before the programs are loaded. The values lie in a frozen `.rodata` map, so the
//! verifier knows them as constants: a load at such an offset through a BTF-typed pointer needs no helper.

use core::ptr::read_volatile;

macro_rules! globals {
    ($($global:ident = $structure:ident . $member:ident $(| $other:ident)* ;)*) => {
        $(
            #[unsafe(no_mangle)]
            pub(crate) static $global: u32 = u32::MAX;
        )*
    };
}
observer_ebpf::kernel_fields!(globals);

macro_rules! enumerators {
    ($($global:ident = $name:ident ;)*) => {
        $(
            #[unsafe(no_mangle)]
            pub(crate) static $global: u32 = u32::MAX;
        )*
    };
}
observer_ebpf::kernel_enumerators!(enumerators);

/// Number of ports in the map of ports; 0 selects every port.
#[unsafe(no_mangle)]
pub(crate) static FILTER_PORTS: u32 = 0;
/// Process whose listeners are selected; 0 selects every process.
#[unsafe(no_mangle)]
pub(crate) static FILTER_PID: u32 = 0;
/// Inode number of the network namespace that is selected; 0 selects all.
#[unsafe(no_mangle)]
pub(crate) static FILTER_NETNS: u32 = 0;
/// Cookie of that namespace; 0 where it is not known.
#[unsafe(no_mangle)]
pub(crate) static FILTER_NETNS_COOKIE: u64 = 0;
/// Inode number of the cgroup whose sockets are selected; 0 selects all.
#[unsafe(no_mangle)]
pub(crate) static FILTER_CGROUP: u64 = 0;

/// 1 where programs can be preempted, so that runs of them are skipped and copies take those over; 0 elsewhere.
#[unsafe(no_mangle)]
pub(crate) static PREEMPTED: u32 = 0;

/// The value of a constant. Volatile, because the compiler must not take the value that is in the object file.
#[inline(always)]
pub(crate) fn value<T: Copy>(constant: &'static T) -> T {
    unsafe { read_volatile(constant) }
}

/// Whether this kernel has a member; a program that does without it asks first. The verifier knows the answer, and
/// drops what is never run.
#[inline(always)]
pub(crate) fn exists(offset: &'static u32) -> bool {
    value(offset) != u32::MAX
}
