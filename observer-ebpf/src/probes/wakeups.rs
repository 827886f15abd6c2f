//! Signal: a server's thread goes to sleep by itself, and so will be woken.
//!
//! Hook `tp_btf/sched_switch(preempt, prev, next, prev_state)`, which `__schedule` passes while the current task is
//! still the one that leaves. A thread that is woken for a connection which another one has taken sleeps again without
//! any system call returning: only here, and in the scheduler's own `nvcsw`, does such a wake-up show.
//!
//! It runs at every switch of the whole machine. So it is the second choice, for where /proc does not show the
//! scheduler's count, or not in time: a thread that lives for a moment.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::{books::now, kernel, maps::SERVERS, threads};

/// `TASK_INTERRUPTIBLE | TASK_UNINTERRUPTIBLE`: asleep, not stopped and not dead.
const ASLEEP: u64 = 3;

#[btf_tracepoint(function = "sched_switch")]
fn switched(ctx: BtfTracePointContext) -> i32 {
    let (preempted, state): (u64, u64) = (ctx.arg(0), ctx.arg(3));
    if preempted != 0 || state & ASLEEP == 0 {
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
