//! Signal: the depth of both queues of the listeners whose cookies are passed in.
//!
//! Never attached: userspace runs it with `BPF_PROG_TEST_RUN` and up to twelve cookies. It reads the listeners' own
//! `struct sock`, so it costs the same however many connections there are. A listener whose socket is destroyed is
//! sampled a last time: what it refused since the sample before is in there.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use observer_ebpf::{
    loss,
    record::{ListenerEntry, Sample},
};

use crate::{
    atomic::swap32,
    books::{SAMPLE, lost, now},
    constants::{self as at, exists},
    kernel::Address,
    maps::{LISTENERS, SAMPLES},
};

#[raw_tracepoint(tracepoint = "sys_enter")]
fn sample_queues(ctx: RawTracePointContext) -> i32 {
    for cookie in arguments(&ctx) {
        if cookie != 0
            && let Some(entry) = LISTENERS.get_ptr_mut(cookie)
            && unsafe { (*entry).identity.destroyed_ns } == 0
        {
            sample(cookie, entry);
        }
    }
    0
}

/// What userspace passes to a program that it runs on demand; 0 where there is no more.
#[inline(always)]
pub(super) fn arguments(ctx: &RawTracePointContext) -> [u64; 12] {
    [
        ctx.arg(0),
        ctx.arg(1),
        ctx.arg(2),
        ctx.arg(3),
        ctx.arg(4),
        ctx.arg(5),
        ctx.arg(6),
        ctx.arg(7),
        ctx.arg(8),
        ctx.arg(9),
        ctx.arg(10),
        ctx.arg(11),
    ]
}

/// Samples one listener; a full ring is counted as a loss.
#[inline(always)]
pub(super) fn sample(cookie: u64, entry: *mut ListenerEntry) {
    if reserved(cookie, entry).is_none() {
        lost(loss::RING_SAMPLE);
    }
}

/// `None` when the ring of samples is full.
#[inline(always)]
fn reserved(cookie: u64, entry: *mut ListenerEntry) -> Option<()> {
    const NO_WAKEUP: u64 = 1;
    let sock = Address(unsafe { (*entry).identity.sock });
    // The socket may be gone and its memory another's: then the cookie there is not this one.
    if sock.read::<u64>(&at::SKC_COOKIE) != Some(cookie) {
        return Some(());
    }
    let mut slot = SAMPLES.reserve::<Sample>(0)?;
    let queue = sock.inner(&at::ICSK_ACCEPT_QUEUE);
    let state: u8 = sock.read_or_zero(&at::SKC_STATE);
    let depth: u32 = sock.read_or_zero(&at::SK_ACK_BACKLOG);
    // From here on the peak is that of the time after this sample. The exchange is atomic: an arrival is counted in
    // this peak or in the next one.
    let peak = unsafe { swap32(&raw mut (*entry).counters.peak, depth) };
    let mut counters = unsafe { (*entry).counters };
    counters.peak = peak;
    slot.write(Sample {
        kind: SAMPLE,
        state: state.into(),
        port: sock.read_or_zero(&at::SKC_NUM),
        cookie,
        time_ns: now(),
        accept_queue: depth,
        limit: sock.read_or_zero(&at::SK_MAX_ACK_BACKLOG),
        syn_queue: queue.read_or_zero(&at::RSKQ_QLEN),
        syn_queue_young: queue.read_or_zero(&at::RSKQ_YOUNG),
        drops: sock.read_or_zero(&at::SK_DROPS),
        peak: if peak > depth { peak } else { depth },
        somaxconn: somaxconn(sock).unwrap_or(0),
        device: sock.read_or_zero(&at::SKC_BOUND_DEV_IF),
        reuseport: sock.read_or_zero(&at::SK_REUSEPORT_CB),
        deferring: u32::from(
            exists(&at::RSKQ_DEFER_ACCEPT) && queue.read_or_zero::<u8>(&at::RSKQ_DEFER_ACCEPT) != 0,
        ),
        reserved: 0,
        counters,
    });
    slot.submit(NO_WAKEUP);
    Some(())
}

/// What listen(2) cuts a backlog to in the socket's network namespace.
#[inline(always)]
fn somaxconn(sock: Address) -> Option<u32> {
    if !exists(&at::NET_CORE) || !exists(&at::CORE_SOMAXCONN) || !exists(&at::SKC_NET) {
        return None;
    }
    sock.follow(&at::SKC_NET)?.inner(&at::NET_CORE).read(&at::CORE_SOMAXCONN)
}
