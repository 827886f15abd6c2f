//! Signal: a server's thread goes to sleep by itself, and so will be woken.
//!
//! - `tp_btf/sched_switch(preempt, prev, next, prev_state)`, which `__schedule` passes while the current task is still
//!   the one that leaves.
//! - The same with 3 parameters, before 5.18: the state is read from the task.
//!
//! A thread that is woken for a connection which another one has taken sleeps again without
//! any system call returning: only here, and in the scheduler's own `nvcsw`, does such a wake-up show.
//!
//! It runs at every switch of the whole machine. So it is the second choice, for where /proc does not show the
//! scheduler's count, or not in time: a thread that lives for a moment.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::{
    books::now,
    constants as at,
    kernel::{self, Typed},
    maps::SERVERS,
    threads,
};

/// `TASK_INTERRUPTIBLE | TASK_UNINTERRUPTIBLE`: asleep, not stopped and not dead.
const ASLEEP: u64 = 3;
/// `TASK_WAKING`.
const WAKING: u64 = 0x200;

#[btf_tracepoint(function = "sched_switch")]
fn switched(ctx: BtfTracePointContext) -> i32 {
    left(ctx.arg(0), ctx.arg(3), ASLEEP)
}

#[btf_tracepoint(function = "sched_switch")]
fn switched_by_3(ctx: BtfTracePointContext) -> i32 {
    // Still what the task has set before it called the scheduler, unless another CPU wakes it already: then
    // `try_to_wake_up` has made it TASK_WAKING, and waits until this CPU has left the task. A task that found a signal
    // instead of sleeping is TASK_RUNNING again.
    let state: u32 = Typed(ctx.arg(1)).load(&at::TASK_STATE);
    left(ctx.arg(0), u64::from(state), ASLEEP | WAKING)
}

/// The current task gives up the CPU; it sleeps if its state has one of these bits.
#[inline(always)]
fn left(preempted: u64, state: u64, sleeps: u64) -> i32 {
    if preempted != 0 || state & sleeps == 0 {
        return 0;
    }
    let (pid, _) = threads::ids();
    if SERVERS.get_ptr(pid).is_some()
        && let Some(thread) = threads::entry(kernel::current(), now())
    {
        unsafe { (*thread).sleeps += 1 };
    }
    0
}
