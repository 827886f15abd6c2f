//! Signal: a connection was reset, by the peer or by this side.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use observer_ebpf::record::flag;

use crate::{books::set_bits, maps::CONNECTIONS};

/// `tcp_reset` accepted a RST from the peer.
#[btf_tracepoint(function = "tcp_receive_reset")]
fn receive_reset(ctx: BtfTracePointContext) -> i32 {
    note(ctx.arg(0), flag::RESET_IN)
}

/// A RST is sent; `sk` is null when no socket is behind it.
#[btf_tracepoint(function = "tcp_send_reset")]
fn send_reset(ctx: BtfTracePointContext) -> i32 {
    note(ctx.arg(0), flag::RESET_OUT)
}

#[inline(always)]
fn note(sock: u64, bit: u32) -> i32 {
    if let Some(connection) = CONNECTIONS.get_ptr_mut(sock) {
        unsafe { set_bits(&raw mut (*connection).flags, bit) };
    }
    0
}
