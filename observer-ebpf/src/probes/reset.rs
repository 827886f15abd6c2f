//! Signal: a connection was reset, by the peer or by this side.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use observer_ebpf::record::flag;

use super::{endings, followed};
use crate::{
    books::{add, set_bits},
    kernel::Address,
    maps::LISTENERS,
};

/// `tcp_reset` accepted a RST from the peer. One that still waits in the accept queue keeps its place there.
#[btf_tracepoint(function = "tcp_receive_reset")]
fn receive_reset(ctx: BtfTracePointContext) -> i32 {
    if let Some(connection) = followed::record(Address(ctx.arg(0))) {
        unsafe {
            let before = set_bits(&raw mut (*connection).flags, flag::RESET_IN);
            if before & (flag::ACCEPTED | flag::RESET_IN) == 0
                && let Some(entry) = LISTENERS.get_ptr_mut((*connection).listener)
            {
                add(&raw mut (*entry).counters.aborted_queued, 1);
                endings::left_queue(entry, (*connection).enqueued_ns);
            }
        }
    }
    0
}

/// A RST is sent; `sk` is null when no socket is behind it.
#[btf_tracepoint(function = "tcp_send_reset")]
fn send_reset(ctx: BtfTracePointContext) -> i32 {
    let sock: u64 = ctx.arg(0);
    // The verifier forbids arithmetic on what may be null.
    if sock != 0
        && let Some(connection) = followed::record(Address(sock))
    {
        unsafe { set_bits(&raw mut (*connection).flags, flag::RESET_OUT) };
    }
    0
}
