//! Signal: a SYN-ACK was sent again, by the timer or because the client repeated its SYN.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::{books::add, constants as at, kernel::Typed, maps::LISTENERS};

/// Hook `tp_btf/tcp_retransmit_synack(listener, request)`.
#[btf_tracepoint(function = "tcp_retransmit_synack")]
fn retransmit_synack(ctx: BtfTracePointContext) -> i32 {
    let cookie: u64 = Typed(ctx.arg(0)).load(&at::SKC_COOKIE);
    if let Some(entry) = LISTENERS.get_ptr_mut(cookie) {
        unsafe { add(&raw mut (*entry).counters.synack_retransmits, 1) };
    }
    0
}
