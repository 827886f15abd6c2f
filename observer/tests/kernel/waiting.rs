//! Waiting for something to be so, with a deadline, never for some time to pass.

use std::{
    fmt::Debug,
    fs,
    time::{Duration, Instant},
};

/// After this long, what did not happen never will. Generous: slow machines are no failure.
pub(crate) fn patience() -> Duration {
    Duration::from_secs(if is_emulated() { 300 } else { 60 })
}

/// The same, once the kernel has left out runs of programs: what they would have told never comes, and the test is run again.
pub(crate) fn patience_for_what_may_be_left_out() -> Duration {
    Duration::from_secs(if is_emulated() { 100 } else { 60 })
}

/// Whether this is an emulated machine, where everything takes long. `OBSERVER_TEST_GUEST` says so.
pub(crate) fn is_emulated() -> bool {
    std::env::var_os("OBSERVER_TEST_GUEST").is_some()
}

/// Between two sets of lines of an observer. In an emulated machine each set takes a third of 100 ms of the one CPU, and
/// those of a few tests at once would take all of it.
pub(crate) fn interval() -> &'static str {
    if is_emulated() { "400ms" } else { "100ms" }
}

/// Whether this kernel preempts programs, so that it leaves out runs of them when many threads do the same: lines then say
/// what they may lack, and no test can ask for none that do.
pub(crate) fn programs_are_preempted() -> bool {
    let types = fs::read("/sys/kernel/btf/vmlinux").expect("the kernel's types");
    // The guard of tracepoints in kernels that do.
    memchr::memmem::find(&types, b"class_srcu_fast_notrace_t").is_some()
}

/// Looks until it is so.
#[track_caller]
pub(crate) fn until(what: &str, is_so: impl Fn() -> bool) {
    until_equal(what, is_so, true);
}

/// Looks until the value is the expected one.
#[track_caller]
pub(crate) fn until_equal<T: PartialEq + Debug>(what: &str, value: impl Fn() -> T, expected: T) {
    let start = Instant::now();
    loop {
        let now = value();
        if now == expected {
            return;
        }
        assert!(start.elapsed() < patience(), "{what}: still {now:?}, not {expected:?}");
        // Only spares the processor; nothing depends on how long it is.
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until a thread of this process sleeps in a system call.
#[track_caller]
pub(crate) fn until_blocked(tid: u32, call: libc::c_long) {
    until(&format!("thread {tid} sleeps in system call {call}"), || {
        let now = fs::read_to_string(format!("/proc/self/task/{tid}/syscall")).unwrap_or_default();
        now.split_whitespace().next() == Some(call.to_string().as_str())
    });
}

/// The calling thread's id.
pub(crate) fn tid() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned()
}

/// CLOCK_MONOTONIC, nanoseconds: the clock of all times in the lines.
pub(crate) fn now_ns() -> u64 {
    observer::kernel::clock::now_ns().expect("CLOCK_MONOTONIC")
}
