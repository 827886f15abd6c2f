//! Hook `tp_btf/inet_sock_set_state(sk, old, new)`: every change of state of every TCP socket.
//!
//! Leaves at once for the changes that mean nothing here, which are most of them.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use super::{arrival, ending, listener};
use crate::kernel::{TCP_CLOSE, TCP_ESTABLISHED, TCP_LISTEN, TCP_SYN_RECV, Typed};

#[btf_tracepoint(function = "inet_sock_set_state")]
fn set_state(ctx: BtfTracePointContext) -> i32 {
    let old: i32 = ctx.arg(1);
    let new: i32 = ctx.arg(2);
    let sock = Typed(ctx.arg(0));
    match new {
        TCP_ESTABLISHED if old == TCP_SYN_RECV => arrival::established(sock),
        TCP_CLOSE if old != TCP_LISTEN => ending::closed(sock, old),
        TCP_LISTEN => listener::opened(sock),
        _ => {}
    }
    0
}
